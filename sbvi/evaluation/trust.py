"""Whether estimates can be trusted: importance sampling by the tails of its weights, annealing by how many of its
chains count, and other chains by whether they meet."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from sbvi.inference import convergence
from sbvi.inference.psis import LIMIT

log = logging.getLogger(__name__)

#: The share of examples above LIMIT from which on a warning is due.
SHARE = 0.1
#: Fewer annealed chains than these are one, whose weight stands alone.
FEW = 2
#: The logarithm of a mean of so many effective weights has a standard deviation of about 0.3 nats.
FEW_SAMPLES = 10
#: The error of a difference of log-likelihoods from which on a warning is due, nats.
COARSE = 0.01


def trust(split: str, arrays: Mapping[str, np.ndarray], anneals: bool) -> dict[str, float]:
    """Of per-example arrays (N,): `<split>/khat_above_0.7`, the share of examples whose weights' tail is too heavy, and
    `<split>/quadrature_error`, the largest; of those that there are. A warning is due where the reported likelihood
    rests on these weights, and not on quadrature.

    anneals: whether `task=annealed` serves the model (`ModelSpec.moves_latents`), and is worth naming.
    """
    scalars: dict[str, float] = {}
    if "khat" in arrays:
        share = float(np.mean(~(arrays["khat"] <= LIMIT)))
        if share > SHARE and "quadrature_error" not in arrays:
            log.warning(
                "%s: of %.0f %% of the examples k-hat is above %s, so that the negative log-likelihood may be too high "
                "by more than its standard error; take more importance samples (num_samples)%s, or a richer "
                "posterior.",
                split,
                100 * share,
                LIMIT,
                ", task=annealed" if anneals else "",
            )
        scalars[f"{split}/khat_above_{LIMIT}"] = share
    if "quadrature_error" in arrays:
        scalars[f"{split}/quadrature_error"] = float(np.max(arrays["quadrature_error"]))
    return scalars


def weights_shared(split: str, effective: np.ndarray, chains: int) -> None:
    """Warn where the chains' mean weight is that of one of them for a large share of the examples, by their effective
    numbers (N,): its logarithm is then too low by about a nat, or by more. Of a single chain nothing is known, and two
    that are nearly alike count as a little less than two."""
    least = min(FEW, (1 + chains) / 2)
    share = float(np.mean(~(effective >= least)))
    if chains > 1 and share > SHARE:
        log.warning(
            "%s: for %.0f %% of the examples fewer than %g of the %d annealed chains count, so that the negative "
            "log-likelihood is likely too high by more than its standard error; take more task.temperatures, or "
            "task.leapfrog_steps.",
            split,
            100 * share,
            least,
            chains,
        )


def few_effective(
    what: str, effective: np.ndarray, samples: int, more: str = "evaluation.num_samples", of: str = "rows"
) -> None:
    """Warn where means of weights rest on few of them for a large share of rows, by their effective numbers (N,).

    more: what to take more of.  of: what there is a mean of.
    """
    share = float(np.mean(~(effective >= FEW_SAMPLES))) if effective.size else 0.0
    if samples > FEW_SAMPLES and share > SHARE:
        log.warning(
            "%s: for %.0f %% of the %s fewer than %d of the %d importance samples count, so that these numbers "
            "may be off by more than their standard errors; take more %s, or a richer posterior.",
            what,
            100 * share,
            of,
            FEW_SAMPLES,
            samples,
            more,
        )


def chains_met(what: str, rhat: np.ndarray, particles: bool = False) -> float:
    """The share of examples whose chains have not met, by their R-hat (N,); with a warning where it is large.

    particles: whether they are populations, which have no warm-up, and one particle for each iteration or more.
    """
    share = float(np.mean(~(rhat <= convergence.LIMIT)))
    if share > SHARE:
        log.warning(
            "%s: of %.0f %% of the examples the %s have not met (R-hat above %s), so that what is filled in is not yet "
            "drawn from the model's conditional law; take more iterations%s.",
            what,
            100 * share,
            "populations of particles" if particles else "chains",
            convergence.LIMIT,
            ", thousands of them" if particles else ", and more of them as warm-up",
        )
    return share


def enough_kept(what: str, kept: int) -> bool:
    """Whether so many iterations of each chain can tell if chains meet; with a warning where they cannot."""
    if kept < convergence.LEAST:
        log.warning(
            "%s: whether the chains have met is not known (iterations after the warm-up: %d; R-hat needs %d, better "
            "hundreds).",
            what,
            kept,
            convergence.LEAST,
        )
    return kept >= convergence.LEAST


def law_reached(what: str, rhats: Sequence[float]) -> dict[str, float]:
    """`<what>/rhat`, the largest of several quantities of chains that are to have reached their law; NaN, of those that
    stood still, is left out. Absent where none is known, of chains too short; a warning is due then, and where it is
    large."""
    known = [rhat for rhat in rhats if not np.isnan(rhat)]
    worst = max(known, default=np.inf)
    if worst > convergence.LIMIT:
        log.warning(
            "%s: R-hat of the chains is %s, where at most %s is asked for: their ends are not yet draws of their law, "
            "and lean towards p, where they began; take more task.iterations.",
            what,
            f"{worst:.3f}" if known else "not known",
            convergence.LIMIT,
        )
    return {f"{what}/rhat": float(worst)} if known else {}


def passing_converged(what: str, converged: np.ndarray) -> None:
    """Warn where message passing has not converged for a large share of the examples, (N,) booleans."""
    share = float(np.mean(~converged))
    if share > SHARE:
        log.warning(
            "%s: message passing of %.0f %% of the examples has not converged, even damped, so that their estimates "
            "and variances are those of where it stopped; compare with task.method=gradient or hamiltonian.",
            what,
            100 * share,
        )


def difference_held(what: str, subtracted: np.ndarray) -> None:
    """Warn where differences from log-likelihoods (N,), float32, nats, are told to no better than COARSE: those are so
    low that float32, in which both are summed, holds no finer steps there."""
    steps = np.spacing(np.abs(subtracted.astype(np.float32)))
    row = int(np.argmax(steps))
    if steps[row] > COARSE:
        log.warning(
            "%s: what is given in row %d lies so far from what the model knows, with a log p of %.3g nats, that "
            "float32 holds the difference no better than to %.2g nats.",
            what,
            row,
            subtracted[row],
            steps[row],
        )


def filled_held(effective: np.ndarray, khat: np.ndarray) -> None:
    """Warn where what is filled into a table's rows, by their effective numbers and k-hat (N,), hangs on few samples or
    on a tail too heavy for a large share of them. A k-hat that is not known says nothing, one of 0 that the row is
    integrated, without samples."""
    few = (~(effective >= FEW_SAMPLES) & (khat != 0)) | (khat > LIMIT)
    share = float(np.mean(few)) if few.size else 0.0
    if share > SHARE:
        log.warning(
            "imputation: of %.0f %% of the rows with gaps fewer than %d samples count, or k-hat is above %s, so that "
            "means and draws of these may be off; take more samples, or a richer posterior.",
            100 * share,
            FEW_SAMPLES,
            LIMIT,
        )
