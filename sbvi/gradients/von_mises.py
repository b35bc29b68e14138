"""The von Mises distribution with pathwise derivatives by its distribution function.

    p(x) = exp(kappa cos(x)) / (2 pi I_0(kappa)),    dx/dkappa = -(dF/dkappa) / p

The derivative of F has no closed form; it is an integral of (cos t - I_1/I_0) p(t) over one tail, taken by
Gauss-Legendre quadrature. Draws are by the rejection sampler of Best and Fisher (1979).
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def log_prob(x: Array, concentration: Array) -> Array:
    """log p(x), mode at zero."""
    log_i0 = jnp.log(jax.scipy.special.i0e(concentration)) + concentration
    return concentration * jnp.cos(x) - log_i0 - float(np.log(2 * np.pi))


@jax.custom_jvp
def sample(key: Array, concentration: Array) -> Array:
    """Angles in (-pi, pi) with mode zero, one for each concentration (any shape)."""
    kappa = jnp.maximum(concentration, 1e-4)
    tau = 1 + jnp.sqrt(1 + 4 * kappa**2)
    rho = (tau - jnp.sqrt(2 * tau)) / (2 * kappa)
    r = (1 + rho**2) / (2 * rho)

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        return ~jnp.all(carry[2])

    def attempt(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        key, x, done = carry
        key, first, second, third = jax.random.split(key, 4)
        z = jnp.cos(jnp.pi * jax.random.uniform(first, kappa.shape, kappa.dtype))
        f = (1 + r * z) / (r + z)
        c = kappa * (r - f)
        u = jax.random.uniform(second, kappa.shape, kappa.dtype, minval=jnp.finfo(kappa.dtype).tiny)
        accept = (c * (2 - c) > u) | (jnp.log(c / u) + 1 >= c)
        sign = jax.random.rademacher(third, kappa.shape, kappa.dtype)
        drawn = sign * jnp.arccos(jnp.clip(f, -1, 1))
        return key, jnp.where(done, x, drawn), done | accept

    start = (key, jnp.zeros_like(kappa), jnp.zeros(kappa.shape, bool))
    return jax.lax.while_loop(unfinished, attempt, start)[1]


@sample.defjvp
def _sample_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    key, kappa = primals
    x = sample(key, kappa)
    return x, path_derivative(x, kappa) * tangents[1]


def path_derivative(x: Array, concentration: Array) -> Array:
    """dx/dkappa at a fixed value of the distribution function.

    By symmetry it is odd in x; the integral runs over the tail beyond |x|, where p(t) <= p(x).
    """
    kappa = jnp.maximum(concentration, 1e-4)[..., None]
    distance = jnp.abs(x)[..., None]
    # Twelve standard deviations hold everything that a float can see.
    length = jnp.minimum(jnp.pi - distance, 12 / jnp.sqrt(kappa) + 2 / kappa)
    nodes = jnp.asarray(_NODES, x.dtype).reshape((1,) * x.ndim + (-1,))
    weights = jnp.asarray(_WEIGHTS, x.dtype).reshape((1,) * x.ndim + (-1,))
    t = distance + length * (nodes + 1) / 2
    mean = jax.scipy.special.i1e(kappa) / jax.scipy.special.i0e(kappa)
    ratio = jnp.exp(kappa * (jnp.cos(t) - jnp.cos(distance)))
    tail = jnp.sum(weights * (jnp.cos(t) - mean) * ratio, -1) * length[..., 0] / 2
    # F(x) = 1 - tail mass for x > 0, so dF/dkappa = -tail, and dx/dkappa = tail / p.
    return jnp.sign(x) * tail
