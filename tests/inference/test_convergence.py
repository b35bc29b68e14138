"""Whether chains agree, against ArviZ."""

import subprocess
import sys
from statistics import NormalDist

import numpy as np
import pytest
from support.processes import environment

from sbvi.evaluation.chains import summarise
from sbvi.inference import convergence as of
from sbvi.inference.convergence import convergence


def cases(chains, draws):
    """Quantities (chains, draws, Q): independent, correlated, apart in place, apart in width alone, of heavy tails,
    with ties, in units that float32 cannot hold, and of two values."""
    generator = np.random.default_rng(draws)
    values = generator.normal(size=(chains, draws, 8))
    for t in range(1, draws):
        values[:, t, 1] = 0.9 * values[:, t - 1, 1] + values[:, t, 1]
    values[..., 2] += np.arange(chains)[:, None]
    values[..., 3] *= 1 + 4 * np.arange(chains)[:, None]
    values[..., 4] = generator.standard_cauchy((chains, draws))
    values[..., 5] = values[..., 5].round()
    values[..., 6] = 1e6 + 1e-6 * values[..., 6]
    values[..., 7] = values[..., 7] > 0.5
    return values


@pytest.mark.parametrize(("chains", "draws"), [(4, 80), (2, 41), (3, 400)])
def test_r_hat_and_effective_draws_are_those_of_arviz(chains, draws):
    """Rank-normalised R-hat of halves, and the bulk effective sample size, by quantity and of traces by name; BlackJAX
    ends Geyer's sequence a term apart from ArviZ now and then."""
    arviz = pytest.importorskip("arviz")
    values = cases(chains, draws)
    each = np.moveaxis(values, -1, 0)
    rhat, effective = (
        [told(own, method=name) for own in each] for told, name in ((arviz.rhat, "rank"), (arviz.ess, "bulk"))
    )
    np.testing.assert_allclose(of.rhat(values), rhat, rtol=1e-9)
    np.testing.assert_allclose(of.effective(values), effective, rtol=0.1)
    worst = convergence(values[:, :, None])
    np.testing.assert_allclose((worst.rhat, worst.effective), ([max(rhat)], [min(effective)]), rtol=0.1)
    named = summarise(dict(enumerate(each)))
    np.testing.assert_allclose([one.rhat for one in named.values()], rhat, rtol=1e-9)
    np.testing.assert_allclose([one.effective for one in named.values()], effective, rtol=0.1)


def test_of_one_chain_the_halves_are_compared():
    """By hand: of four draws in order the scores' halves are apart, and the distances from the median are not."""
    score = [NormalDist().inv_cdf((rank - 3 / 8) / (4 + 1 / 4)) for rank in range(1, 5)]
    within = (score[1] - score[0]) ** 2 / 2
    between = (score[0] + score[1] - score[2] - score[3]) ** 2 / 4  # twice the variance of two means
    trace = np.array([[0.0, 1.0, 10.0, 11.0]])
    assert of.rhat(trace) == pytest.approx(np.sqrt((between / within + 1) / 2))
    assert summarise({"one": trace})["one"].rhat == pytest.approx(float(of.rhat(trace)))
    assert np.isnan(summarise({"one": trace[:, :3]})["one"].rhat)


def test_chains_that_stand_still_apart_have_not_met():
    """Though nothing moves within them; what is not a number has not met either."""
    values = np.repeat([[0.1], [0.2]], 40, axis=1)
    assert of.rhat(values) == np.inf
    values[0, 3] = np.nan
    assert of.rhat(values) == np.inf
    two = np.tile([0.0, 1.0], (2, 20))  # all of them at one distance from the median
    assert of.rhat(two) == 1


def test_what_tells_whether_chains_have_met():
    """Independent draws, a drift, chains apart, and a chain that never moves."""
    generator = np.random.default_rng(0)
    chains, draws = 4, 100
    values = np.zeros((chains, draws, 5, 2), np.float32)
    values[:, :, 0] = generator.normal(size=(chains, draws, 2))
    values[:, :, 1] = generator.normal(size=(chains, draws, 2)) + np.linspace(0, 5, draws)[:, None]
    values[:, :, 2] = values[:, :, 0]
    values[:, :, 2, 1] += np.arange(chains)[:, None]
    for t in range(1, draws):
        values[:, t, 3] = 0.9 * values[:, t - 1, 3] + generator.normal(size=(chains, 2))
    found = convergence(values)
    rhat, effective = found
    assert rhat[0] < 1.05
    assert 250 < effective[0] < 600
    assert rhat[1] > 1.3
    assert rhat[2] > 1.3
    assert effective[3] < 60  # (1 - 0.9) / (1 + 0.9) of 400
    assert (rhat[4], effective[4]) == (1, 400)  # the same everywhere
    assert np.isinf(convergence(values[:1]).rhat[4])
    assert convergence(values[:, :3]) is None


def test_training_does_not_wait_for_what_only_chains_need():
    """SciPy's statistics and BlackJAX take the better part of a second each to import."""
    code = "import sys, sbvi.cli.train, sbvi.runs.train; print({'scipy.stats', 'blackjax'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
