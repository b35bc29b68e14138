"""The oracle: learned priors over one node of two latents as what maps of N(0, I) leave, each with its share.

An integral over p(z) is one over the noise of each map, a sum over the points of a plane: no density of the prior, no
inverse and no determinant has a part. In float64.
"""

import jax
import jax.numpy as jnp
import numpy as np

from sbvi.distributions import couplings

AXIS = np.linspace(-7, 7, 141)
NOISE = np.stack(np.meshgrid(AXIS, AXIS), -1).reshape(-1, 2)
LOG_MASS = -0.5 * (NOISE**2).sum(1) - np.log(2 * np.pi) + 2 * np.log(AXIS[1] - AXIS[0])
NAMES = ("mixture", "flow", "vamp")


class Learned:
    """The prior of a model without deterministic layers in q; inside: whether its inputs are within [0, 1]."""

    def __init__(self, name, params, inside=False):
        if name == "flow":
            own, transform = params.prior["layer_1"], jax.jit(couplings.transform)
            self.shares, self.maps = np.ones(1), [lambda e: np.asarray(transform(own, jnp.asarray(e))[0])]
            return
        if name == "mixture":
            own = {key: np.asarray(value) for key, value in params.prior["layer_1"].items()}
            self.shares, means, log_scales = np.exp(own["weights"]), own["mean"], own["log_scale"]
            self.shares = self.shares / self.shares.sum()
        else:
            head, inputs = params.recognition["heads"][0], np.asarray(params.prior)
            seen = 1 / (1 + np.exp(-inputs)) if inside else inputs
            raw = seen @ np.asarray(head["kernel"].get_value()) + np.asarray(head["bias"].get_value())
            means, log_scales = raw[:, :2], raw[:, 2:]
            self.shares = np.full(len(raw), 1 / len(raw))
        scales = np.exp(15 * np.tanh(log_scales / 15))
        self.maps = [lambda e, m=m, s=s: m + s * e for m, s in zip(means, scales, strict=True)]

    def points(self):
        """(G, 2), and the log of the mass that each stands for, (G,)."""
        placed = np.concatenate([way(NOISE) for way in self.maps])
        return placed, np.concatenate([np.log(share) + LOG_MASS for share in self.shares])

    def draw(self, rng, count):
        """(count, 2)."""
        which, e = rng.choice(len(self.maps), size=count, p=self.shares), rng.normal(size=(count, 2))
        return np.stack([way(e) for way in self.maps])[which, np.arange(count)]
