"""Settings of JAX that must stand before the first array is made."""

import os
from typing import Literal

import jax

from sbvi.core import NonNegativeInt, PositiveInt, UserError, spec
from sbvi.data.files import cache_folder

DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
_first: list[bool] = []  # what this process's runs asked for; XLA reads its flags once, for the first

#: Settings of JAX by which a seed's numbers are what they are in every run.
RANDOM_NUMBERS = {"jax_default_prng_impl": "threefry2x32", "jax_threefry_partitionable": True}

#: After which a process that says nothing counts as gone, and JAX ends the others where they wait for it.
HEARTBEAT_SECONDS = 20


@spec
class Runtime:
    """Where and how the program runs."""

    platform: Literal["auto", "cpu", "gpu", "tpu"] = "auto"
    """Device kind; auto takes the best there is."""
    devices: PositiveInt | Literal["all"] = 1
    """Devices that share every batch; all takes what there is, in all processes of the run."""
    distributed: bool = False
    """Whether this is one of several processes of a run; the next three are found from SLURM or Open MPI where null."""
    coordinator: str | None = None
    """HOST:PORT of the first process, where the others find it."""
    processes: PositiveInt | None = None
    """How many processes the run has."""
    process: NonNegativeInt | None = None
    """Which of them this is, from 0."""
    compilation_cache: bool = True
    """Keep compiled programs in the cache folder, so that the next start is faster."""
    deterministic: bool = False
    """On a GPU, allow only operations that give the same bits every time (slower). A CPU always does."""
    debug_nans: bool = False
    """Stop at the first operation that gives a NaN, with its place (slow)."""

    def idle(self) -> dict[str, str]:
        own = ("coordinator", "processes", "process")
        return {} if self.distributed else dict.fromkeys(own, "distributed=true")


def apply(runtime: Runtime) -> None:
    """Choose the platform and turn on the compilation cache.

    Raises:
      UserError: the platform is not there, or JAX is set to make other random numbers.
    """
    if runtime.deterministic and DETERMINISTIC not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {DETERMINISTIC}".strip()
    _first.append(runtime.deterministic)
    before = jax.config.jax_platforms  # type: ignore[attr-defined]
    if runtime.distributed:
        _join(runtime)
    if runtime.platform != "auto":
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(runtime.platform, runtime.platform))
    try:
        actual = jax.devices()[0].platform
    except (RuntimeError, AssertionError) as error:  # the second where a named platform has no plugin
        jax.config.update("jax_platforms", before)
        reason = (str(error).splitlines() or ["JAX finds no such device"])[0]
        asked = "" if runtime.platform != "auto" else f" with JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}"
        raise UserError(
            f"runtime.platform={runtime.platform}{asked} is not available ({reason}); allowed here: cpu, or what the "
            f"extras cuda12, cuda13 and tpu bring."
        ) from None
    if runtime.platform not in ("auto", actual):  # JAX had started on another one before
        jax.config.update("jax_platforms", before)
        raise UserError(f"runtime.platform={runtime.platform} is not available: this process runs on {actual}.")
    if actual == "gpu" and runtime.deterministic and not _first[0]:
        raise UserError("runtime.deterministic=true must be set in a process of its own: JAX has started without it.")
    _check_random_numbers()
    jax.config.update("jax_debug_nans", runtime.debug_nans)
    # A folder that the user set for JAX itself wins.
    if runtime.compilation_cache and not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        folder = cache_folder() / "xla"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            return  # a cache is a convenience: without a place for it, compile
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)


def _check_random_numbers() -> None:
    """Refuse another generator than that of all runs: the same seed would give other numbers, and no record says why.

    Raises:
      UserError: the setting of JAX, which a variable of the environment or the caller's program has changed.
    """
    for name, wanted in RANDOM_NUMBERS.items():
        if (found := getattr(jax.config, name, wanted)) != wanted:
            raise UserError(
                f"{name.upper()}={found} makes other random numbers than runs are made of; it must be {wanted}, JAX's "
                f"default: leave it out."
            )


def _join(runtime: Runtime) -> None:
    """Meet the other processes of the run, once.

    Raises:
      UserError: they cannot be found.
    """
    if jax.distributed.is_initialized():
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            runtime.coordinator,
            runtime.processes,
            runtime.process,
            initialization_timeout=120,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=10,
        )
    except Exception as error:  # JAX raises many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"runtime.distributed=true found no other processes ({reason}); start all of them within two minutes, each "
            f"with runtime.coordinator=HOST:PORT, runtime.processes=N and its runtime.process=0..N-1, or under SLURM."
        ) from None
