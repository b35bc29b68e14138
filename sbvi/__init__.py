"""sbvi: deep latent-variable models trained by stochastic backpropagation."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sbvi.core import UserError
    from sbvi.runs import Experiment, LoadedRun, load_run, train

__version__ = "0.1.0"
__all__ = ["Experiment", "LoadedRun", "UserError", "load_run", "train"]


def __getattr__(name: str) -> Any:
    # Lazily: importing sbvi for its version should not import JAX.
    if name == "UserError":
        from sbvi.core import UserError

        return UserError
    if name in __all__:
        import sbvi.runs

        return getattr(sbvi.runs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
