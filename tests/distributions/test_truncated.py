"""Draws of a normal variable that is known to lie above a bound."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sbvi.distributions.likelihoods.missingness import SelfMasking
from sbvi.distributions.truncated import above

#: Less the bound: everything, the middle, both sides of where the tail's way begins, and far into it.
PLACES = (30.0, 2.0, 0.0, -2.0, -4.5, -5.9, -6.1, -12.0, -40.0, -300.0)
COUNT = 20_000


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_above_a_bound_are_of_its_law(dtype, request):
    """The shares of the mass that lie above them are uniform, by scipy in float64."""
    if dtype == np.float64:
        request.getfixturevalue("x64")
    place = jnp.asarray(np.broadcast_to(np.array(PLACES, dtype), (COUNT, len(PLACES))))
    drawn = np.asarray(jax.jit(above)(jax.random.key(3), place)).astype(np.float64)
    assert np.isfinite(drawn).all()
    bound = -np.array(PLACES)
    assert (drawn >= bound - 1e-6 * np.abs(bound)).all()
    for d, least in enumerate(bound):
        off = drawn[:, d] - least
        if least < 100:
            share = np.exp(stats.norm.logsf(drawn[:, d]) - stats.norm.logsf(least))
        else:  # where Q(n) / Q(l) = exp(-(n - l) (n + l) / 2) l / n but for a part in 10^5
            share = np.exp(-off * (drawn[:, d] + least) / 2) * least / drawn[:, d]
        if dtype == np.float32 and least > 30:
            # Its numbers are 4e-6 and 3e-5 apart, and distances from the bound 1 / l = 0.025 and 0.003.
            share = np.clip(
                share + np.random.default_rng(d).uniform(-0.5, 0.5, COUNT) * np.spacing(np.float32(least)) * least, 0, 1
            )
        assert stats.kstest(share, "uniform").pvalue > 1e-4, least


def test_entries_that_hardly_ever_go_missing_have_draws_about_their_mean():
    """P(missing | z) = 1e-9, in float32; the moments in closed form by scipy."""
    t, slope, scale = -6.0, 3.0, 0.7
    width = np.sqrt(1 + (slope * scale) ** 2)
    fields = (0.2, scale, t * width - slope * 0.2, slope)
    for sign in (1, -1):  # and those of small values, mirrored
        law = SelfMasking(
            *(jnp.full((COUNT, 1), v, jnp.float32) for v in (sign * fields[0], *fields[1:3], sign * slope))
        )
        drawn = np.asarray(law.missing_sample(jax.random.key(0)), np.float64)[:, 0]
        shift = np.exp(stats.norm.logpdf(t) - stats.norm.logcdf(t))
        share = slope * scale / width
        mean, variance = 0.2 + scale * share * shift, scale**2 * (1 - share**2 * shift * (shift + t))
        np.testing.assert_allclose(np.asarray(law.missing_mean())[0, 0], sign * mean, rtol=1e-5)
        assert abs(drawn.mean() - sign * mean) < 5 * np.sqrt(variance / COUNT)
        np.testing.assert_allclose(drawn.var(), variance, rtol=0.05)


def test_a_slope_without_end_leaves_what_the_bound_leaves():
    """b s = 3000: sqrt(1 - d^2) has no digit left in float32, 1 / sqrt(1 + b^2 s^2) has all."""
    law = SelfMasking(*(jnp.full((COUNT, 1), v, jnp.float32) for v in (0.0, 1.0, -3000.0, 3000.0)))
    drawn = np.asarray(law.missing_sample(jax.random.key(1)), np.float64)[:, 0]
    wanted = stats.truncnorm(1, np.inf)  # missing is v > 1, almost surely
    assert drawn.min() > 0.998
    assert stats.kstest(drawn, wanted.cdf).pvalue > 1e-4
