"""Filling what is missing by chains over the latents: in the run's own examples with values removed, or in a user's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.core import UserError
from sbvi.core.precision import jit_reported
from sbvi.core.watch import counted
from sbvi.evaluation.filled import log_losses, squares, within
from sbvi.evaluation.trust import chains_met, enough_kept
from sbvi.inference.convergence import LIMIT, convergence
from sbvi.inference.imputation import Imputation, Method, directions, exact, impute, without_chain
from sbvi.runs.loaded import LoadedRun
from sbvi.tasks.data import own_with_gaps, run_dataset
from sbvi.tasks.files import check_output, write_arrays
from sbvi.tasks.filling import Filling
from sbvi.tasks.holes import Hole, holes, picture, spread_out
from sbvi.tasks.parameters import Parameters, with_parameters
from sbvi.tasks.task import TaskResult

BATCH = 250
HELD = 50_000_000  # values of all iterations of a batch's chains that are held at once


def at_once(iterations: int, values: int, chains: int) -> int:
    """Examples of a batch, at least one: all of their chains are held with every iteration's values."""
    return max(1, min(BATCH, HELD // (iterations * values)) // chains)


class _Followed(NamedTuple):
    """Of C B rows, all examples of the first chain first; and by what chains are compared, (C, T, B, directions), or
    None of draws that are independent."""

    chain: Imputation
    directions: Any


@dataclass(frozen=True, kw_only=True)
class ChainImputation(Filling):
    """What is asked for; see `ImputationTask`."""

    method: Method
    iterations: int
    warmup: int
    chains: int
    leapfrog_steps: int
    parameters: Parameters | None
    missing: Hole

    def run(self, run: LoadedRun, title: str) -> TaskResult:
        """Follow the chains, score where the truth is known, and write.

        Raises:
          UserError: the files are wrong, there are fewer kept steps than imputations, or what is given has probability
            0.
        """
        if self.imputations > self.iterations - self.warmup:
            raise UserError(f"task.imputations={self.imputations} must be at most task.iterations - task.warmup.")
        if self.output is not None:
            check_output(self.output)
        run = with_parameters(run, self.parameters)
        truth: np.ndarray | None = None
        source: np.ndarray | None = None
        if self.input is not None:
            x, missing, source = own_with_gaps(run, self.input)
        else:
            truth, x, missing = self._removed(run)
        run.check_possible(x, ~missing, f"task.input={self.input}" if truth is None else f"the {self.split} split")
        shown = spread_out(len(x))
        if not exact(run.model):
            enough_kept("imputation", self.iterations - self.warmup)
        parts, courses = self._batches(run, x, missing, truth, shown)
        scalars, arrays = self._joined(parts, missing, without_chain(run.model))
        if truth is not None:
            scores = self._scores(run, truth, missing, parts)
            scalars |= {f"imputation/{name}": float(values[-1]) for name, values in scores.items()}
            arrays |= scores
        if self.output is not None:
            self._write(self.output, run, parts, arrays, missing, source)
        known = None if truth is None else truth[shown]
        alone = without_chain(run.model)
        drawn = picture(known, x[shown], missing[shown], courses, run.event_shape, self._steps(), not alone)
        return TaskResult(scalars, arrays, {} if drawn is None else {title: drawn})

    def _batches(
        self, run: LoadedRun, x: np.ndarray, missing: np.ndarray, truth: np.ndarray | None, shown: np.ndarray
    ) -> tuple[list[dict[str, np.ndarray]], np.ndarray]:
        """What is kept of each batch's chains, and the course of the first chain of the examples that are shown, at
        some steps: a chain's whole course is held for one batch at a time."""
        chains = 1 if exact(run.model) else self.chains
        chain = jit_reported(lambda params, key, x, m: self._chain(run, chains, params, key, x, m))
        parts: list[dict[str, np.ndarray]] = []
        courses: list[np.ndarray] = []
        size = at_once(self.iterations, x.shape[1], chains)
        size = -(-len(x) // -(-len(x) // size))  # of batches of one size, the last one's surplus left out
        for start in counted("imputation", range(0, len(x), size)):
            index = np.arange(start, start + size) % len(x)
            key = jax.random.fold_in(jax.random.key(self.seed), start)
            followed = self._followed(run, chains, chain, key, jnp.asarray(x[index]), jnp.asarray(missing[index]))
            rows = slice(start, start + size)
            parts.append(
                self._reduced(followed, chains, x[rows], missing[rows], None if truth is None else truth[rows])
            )
            here = shown[(shown >= start) & (shown < start + size)] - start
            courses.append(np.asarray(followed.chain.means[np.array(self._steps())[:, None], here]))
        return parts, np.concatenate(courses, 1)

    def _steps(self) -> list[int]:
        """Of a chain's course, those that are shown."""
        return sorted({0, 1, 2, 4, 7, 14, self.iterations - 1} & set(range(self.iterations)))

    def _joined(
        self, parts: list[dict[str, np.ndarray]], missing: np.ndarray, particles: bool
    ) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """Scalars and arrays of all batches that need no truth."""
        arrays = {name: np.concatenate([part[name] for part in parts]) for name in ("filled", "spread", "missing")}
        scalars = {"imputation/missing": float(missing.mean())}
        weights = [len(part["filled"]) for part in parts]
        for name in [n for n in ("accepted", "accepted_local") if n in parts[0]]:
            scalars[f"imputation/{name}"] = float(np.average([part[name] for part in parts], weights=weights))
        if "rhat" in parts[0]:
            arrays |= {n: np.concatenate([part[n] for part in parts]) for n in ("rhat", "effective_samples")}
            scalars |= {
                "imputation/effective_samples": float(np.median(arrays["effective_samples"])),
                "imputation/rhat": float(np.median(arrays["rhat"])),
                f"imputation/rhat_above_{LIMIT}": chains_met("imputation", arrays["rhat"], particles),
            }
        return scalars, arrays

    def _write(
        self,
        output: str,
        run: LoadedRun,
        parts: list[dict[str, np.ndarray]],
        arrays: dict[str, np.ndarray],
        missing: np.ndarray,
        source: np.ndarray | None,
    ) -> None:
        """Filled values, their spread and the draws, in the source's units."""
        imputations = np.concatenate([part["imputations"] for part in parts], 1)
        units = run.preprocessing
        own = {
            "filled": units.filled(arrays["filled"], missing, source),
            "spread": units.to_source(arrays["spread"]) - units.to_source(np.zeros_like(arrays["spread"])),
            "imputations": units.filled(imputations, missing, source),
        }
        write_arrays(output, {n: v.reshape(*v.shape[:-1], *run.event_shape) for n, v in own.items()})

    def _reduced(
        self, followed: _Followed, chains: int, x: np.ndarray, missing: np.ndarray, truth: np.ndarray | None
    ) -> dict[str, np.ndarray]:
        """What is kept of a batch's chains; errors as sums over missing entries, (T + 1,): at each iteration of one
        state, a mean over chains, and last that of the average over iterations and chains."""

        def own(values: Any) -> Any:
            """(T, C B, ...) as (T, C, rows of this batch, ...), without those that fill it up."""
            return values.reshape(self.iterations, chains, -1, *values.shape[2:])[:, :, : len(x)]

        means, draws = own(followed.chain.means), own(followed.chain.draws)
        kept = slice(self.warmup, None)
        places = np.linspace(0, chains * (self.iterations - self.warmup) - 1, self.imputations).round().astype(int)
        filled = np.where(missing, means[kept].mean((0, 1), dtype=np.float64).astype(np.float32), x)
        part: dict[str, np.ndarray] = {
            "filled": filled,
            "spread": np.where(missing, draws[kept].std((0, 1), dtype=np.float64).astype(np.float32), 0),
            "missing": missing,
            # Of the first chain first, evenly spaced over all that are kept.
            "imputations": np.swapaxes(draws[kept], 0, 1).reshape(-1, *x.shape)[places],
            "accepted": np.asarray(own(followed.chain.accepted)[kept].mean()),
        }
        if followed.chain.local is not None:
            part["accepted_local"] = np.asarray(own(followed.chain.local)[kept].mean())
        if followed.directions is not None and (met := convergence(followed.directions)) is not None:
            part |= {"rhat": met.rhat[: len(x)], "effective_samples": met.effective[: len(x)]}
        if truth is not None:
            part["within"] = within(np.asarray(draws[kept]), truth, missing)[missing.any(1)]
            for name, error in (("squares", squares), ("log_losses", log_losses)):
                each = [np.mean([error(guess, truth, missing) for guess in at]) for at in means]
                part[name] = np.array([*each, error(filled, truth, missing)])
        return part

    def _chain(
        self, run: LoadedRun, chains: int, params: Any, key: jax.Array, x: jax.Array, missing: jax.Array
    ) -> _Followed:
        tiled = jnp.tile(x, (chains, 1)), jnp.tile(missing, (chains, 1))
        imputation = impute(
            run.model, params, key, *tiled, self.iterations, self.warmup, self.method, self.leapfrog_steps
        )
        return _Followed(imputation, self._directions(run, imputation, missing, chains))

    def _directions(self, run: LoadedRun, imputation: Imputation, missing: jax.Array, chains: int) -> jax.Array | None:
        return None if exact(run.model) else directions(run.model, imputation, missing, chains, self.warmup)

    def _followed(
        self,
        run: LoadedRun,
        count: int,
        chain: Callable[..., _Followed],
        key: jax.Array,
        x: jax.Array,
        missing: jax.Array,
    ) -> _Followed:
        """The chains; with task.parameters=average their kept steps are those of chains of every draw of the parameters
        in turn (of the first ones, where there are more draws than steps), so that means and spread are over these
        too."""
        if self.parameters != "average":
            followed: _Followed = jax.device_get(chain(run.params, key, x, missing))
            return followed
        used = min(len(run.draws.entries()), self.iterations - self.warmup)
        each = [
            jax.device_get(chain(one.params, jax.random.fold_in(key, place), x, missing)).chain
            for place, one in enumerate(run.each_draw(used))
        ]
        turns = (np.arange(self.iterations) - self.warmup) % used  # whose step stands at each place

        def merged(name: str) -> Any:
            if getattr(each[0], name) is None:
                return None
            return np.stack([getattr(each[turn], name)[step] for step, turn in enumerate(turns)])

        fields = {name: merged(name) for name in ("means", "draws", "accepted", "local")}
        joined = each[turns[-1]]._replace(**fields)
        return _Followed(joined, jax.device_get(self._directions(run, joined, missing, count)))

    def _removed(self, run: LoadedRun) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        truth = run_dataset(run).seen(self.split, self.examples)
        missing = holes(self.missing, self.fraction, self.seed, len(truth), run.event_shape)
        return truth, np.where(missing, 0, truth), missing

    def _scores(
        self, run: LoadedRun, truth: np.ndarray, missing: np.ndarray, parts: list[dict[str, np.ndarray]]
    ) -> dict[str, np.ndarray]:
        """RMSE on missing entries at every iteration and, last, of the average; and of the training means. The share of
        examples with missing values whose sum is in the middle of its draws' (`within`). With binary data also the
        log-loss (nats an entry)."""
        base = run_dataset(run)
        column = np.broadcast_to(base.seen("train").mean(0), truth.shape)
        total = int(missing.sum())
        scores = {
            "rmse_of_means": np.sqrt([squares(column, truth, missing) / total]),
            "rmse": np.sqrt(np.sum([part["squares"] for part in parts], 0) / total),
        }
        scores["coverage"] = np.array([np.concatenate([part["within"] for part in parts]).mean()])
        if run.data["binary"]:
            scores["log_loss_of_means"] = np.array([log_losses(column, truth, missing) / total])
            scores["log_loss"] = np.sum([part["log_losses"] for part in parts], 0) / total
        return scores
