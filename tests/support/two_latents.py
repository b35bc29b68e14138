"""The oracle: models of binary data with two latents, whose integrals are sums over a plane, in float64."""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.distributions.priors import PRIORS
from sbvi.models.values import Latents
from sbvi.posteriors import POSTERIORS
from support.models import dlgm, summary

D = 5
SMALL = {
    "planar": {"flows": 3},
    "inverse_autoregressive": {"steps": 2, "hidden": 5, "context": 3},
    "coupling": {"couplings": 3, "hidden": 4, "context": 3},
    "hierarchical": {"hidden": 4},
    "top_down": {"hidden": 4},
    "vamp": {"components": 4},
    "flow": {"couplings": 2, "hidden": 3},
    "mixture": {"components": 3, "spread": 0.6},
}
AXIS = np.linspace(-8, 8, 81)
AREA = (AXIS[1] - AXIS[0]) ** 2
X = np.array([[1.0, 0, 1, 1, 0], [0, 0, 1, 0, 1]])
#: Two latents of one layer, and one latent of each of two; chains and the joint family have layers to join.
ONE, TWO = (2,), (1, 1)
LAYERED = ("hierarchical", "top_down", "joint_rank_one")


def sized(registry, name, **options):
    return registry[name](**SMALL.get(name, {}) | options)


def moved(tree, scale=0.2):
    """Parameters away from where they start, in float64."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda a: jnp.asarray(np.asarray(a, np.float64) + scale * rng.normal(size=a.shape)), tree)


def built(posterior, prior="standard", latents=ONE, **options):
    """With two nodes a chain's order shows."""
    model = dlgm(
        (D,),
        posterior=sized(POSTERIORS, posterior, **options),
        prior=sized(PRIORS, prior),
        latents=latents,
        hidden=(3,),
        recognition_hidden=(4,),
        activation="tanh",
        initial_posterior_scale=0.9,
    )
    first = model.init(0, summary(np.linspace(0.2, 0.8, D), np.ones(D)))
    # The posterior stays near the prior, so that weights are even enough for a comparison.
    return model, first._replace(
        generative=jax.tree.map(lambda a: 0.5 * a, moved(first.generative, 0.05)),
        recognition=jax.tree.map(lambda a: 0.5 * a, moved(first.recognition)),
        prior=moved(first.prior),
    )


def grid(model) -> Latents:
    """Every point of a plane as latents (G, B, K), for B = len(X)."""
    plane = np.stack(np.meshgrid(AXIS, AXIS), -1).reshape(-1, 1, 2)
    plane = jnp.asarray(np.repeat(plane, len(X), 1))
    sizes = model.latent_sizes()
    return dict(zip(sizes, [plane] if len(sizes) == 1 else jnp.split(plane, 2, -1), strict=True))


def own_slopes(model, params, x):
    """Slopes of the detached log q at fixed points, by every parameter: all 0. One that is left has the mean 0 too, so
    that no mean of gradients shows it."""
    z = {node: jnp.full((1, len(x), size), 0.3, x.dtype) for node, size in model.latent_sizes().items()}

    def total(params):
        return sum(jnp.sum(values) for values in model.posterior(params, x).log_prob(z, detached=True).values())

    return jax.grad(total)(params)


def evidence_and_bound(model, params):
    """log p(x) and E_q[log p(x, z) - log q(z | x)] of X, (B,), nats."""
    plane, x = grid(model), jnp.asarray(X)

    @jax.jit
    def densities(params):
        return model.log_joint(params, plane, x), sum(model.posterior(params, x).log_prob(plane).values())

    joint, q = (np.asarray(values) for values in densities(params))
    mass = np.exp(q) * AREA
    np.testing.assert_allclose(mass.sum(0), 1, atol=2e-4)
    return np.logaddexp.reduce(joint) + np.log(AREA), (mass * (joint - q)).sum(0)
