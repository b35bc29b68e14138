"""The von Mises distribution with pathwise derivatives by its distribution function.

    p(x) = exp(kappa cos(x)) / (2 pi I_0(kappa)),    dx/dkappa = -(dF/dkappa) / p

The derivative of F has no closed form; it is an integral of (cos t - I_1/I_0) p(t) over one tail, taken by
Gauss-Legendre quadrature. Draws are by the rejection sampler of Best and Fisher (1979). At large kappa angles are near
zero: everything is told by 1 - cos, of which float32 then keeps its digits while it would lose them in cos.
"""

import jax
import jax.numpy as jnp
import numpy as np

Array = jax.Array

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)


def log_prob(x: Array, concentration: Array) -> Array:
    """log p(x), mode at zero."""
    log_i0e = jnp.log(jax.scipy.special.i0e(concentration))
    return -concentration * _one_less_cos(x) - log_i0e - float(np.log(2 * np.pi))


def _one_less_cos(x: Array) -> Array:
    return 2 * jnp.square(jnp.sin(x / 2))


def _one_less_mean(kappa: Array) -> Array:
    """1 - E[cos] = 1 - I_1 / I_0; by its asymptotic series where the difference would cancel."""
    inverse = 1 / jnp.maximum(kappa, 50)
    series = jnp.zeros_like(kappa)
    for coefficient in (1073 / 1024, 13 / 32, 25 / 128, 1 / 8, 1 / 8, 1 / 2):
        series = inverse * (coefficient + series)
    ratio = jax.scipy.special.i1e(kappa) / jax.scipy.special.i0e(kappa)
    return jnp.where(kappa > 50, series, 1 - ratio)


@jax.custom_jvp
def sample(key: Array, concentration: Array) -> Array:
    """Angles in (-pi, pi) with mode zero, one for each concentration (any shape)."""
    kappa = jnp.maximum(concentration, 1e-4)
    # Best and Fisher's rho = (tau - sqrt(2 tau)) / (2 kappa), tau = 1 + sqrt(1 + 4 kappa^2), and 1 - rho, free of
    # cancellation; the wrapped Cauchy envelope has r - 1 = (1 - rho)^2 / (2 rho).
    hypotenuse = jnp.hypot(jnp.ones_like(kappa), 2 * kappa)
    root = jnp.sqrt(1 + hypotenuse)
    rho = root * 2 * kappa / ((root + jnp.sqrt(jnp.full_like(root, 2))) * (hypotenuse + 1))
    far = (jnp.sqrt(2 * (1 + hypotenuse)) - 1 - 1 / (2 * kappa + hypotenuse)) / (2 * kappa)
    beyond = jnp.square(jnp.where(kappa > 1, far, 1 - rho)) / (2 * rho)

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        return ~jnp.all(carry[2])

    def attempt(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        key, x, done = carry
        key, first, second, third = jax.random.split(key, 4)
        angle = jnp.pi / 2 * jax.random.uniform(first, kappa.shape, kappa.dtype)
        # 1 - f of their f = (1 + r z) / (r + z), z = cos(2 angle).
        away = beyond * 2 * jnp.square(jnp.sin(angle)) / (beyond + 2 * jnp.square(jnp.cos(angle)))
        c = kappa * (beyond + away)
        u = jax.random.uniform(second, kappa.shape, kappa.dtype, minval=jnp.finfo(kappa.dtype).tiny)
        accept = (c * (2 - c) > u) | (jnp.log(c / u) + 1 >= c)
        sign = jax.random.rademacher(third, kappa.shape, kappa.dtype)
        drawn = sign * 2 * jnp.arcsin(jnp.sqrt(jnp.minimum(away / 2, 1)))
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
    past = length * (nodes + 1) / 2
    t = distance + past
    # cos t - cos distance as a product, and cos t - mean as a difference of what both are less than one.
    ratio = jnp.exp(-2 * kappa * jnp.sin(distance + past / 2) * jnp.sin(past / 2))
    above_mean = _one_less_mean(kappa) - _one_less_cos(t)
    tail = jnp.sum(weights * above_mean * ratio, -1) * length[..., 0] / 2
    # F(x) = 1 - tail mass for x > 0, so dF/dkappa = -tail, and dx/dkappa = tail / p.
    return jnp.sign(x) * tail
