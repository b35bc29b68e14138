"""A convolution whose gradient stays fast inside a loop.

The gradient is that of JAX, as convolutions of the plain layout (NHWC, HWIO). XLA's CPU compiler brings others to it
in a program's first computation alone: inside a loop, where training is, they took a hundred times as long. On an
accelerator the gradient is JAX's own.
Benchmark: `scripts/benchmark_xla_tricks.py convolution`.
"""

import jax

from sbvi.core.xla import for_cpu

Array = jax.Array


def plain_convolution(x: Array, kernel: Array) -> Array:
    """(B, H, W, C), (k, k, C, C') -> (B, H, W, C'), of stride one, zeros beyond the edges; with JAX's gradient."""
    return _padded_convolution(x, kernel, _padding(kernel))


def convolved(x: Array, kernel: Array) -> Array:
    """As `plain_convolution`; on a CPU with a gradient of its own: reverse mode only."""
    return _convolved(x, kernel) if for_cpu() else plain_convolution(x, kernel)


@jax.custom_vjp
def _convolved(x: Array, kernel: Array) -> Array:
    return plain_convolution(x, kernel)


def _padded_convolution(x: Array, kernel: Array, padding: tuple[int, int]) -> Array:
    """In the layout that XLA's CPU library takes as it is; padding: zeros (before, after) along both sides."""
    result: Array = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), [padding] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return result


def _padding(kernel: Array) -> tuple[int, int]:
    return (kernel.shape[0] - 1) // 2, kernel.shape[0] // 2


def _forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return plain_convolution(x, kernel), (x, kernel)


def _backward(kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = kept
    before, after = _padding(kernel)
    to_x = _padded_convolution(cotangent, kernel[::-1, ::-1].transpose(0, 1, 3, 2), (after, before))
    to_kernel = _padded_convolution(x.transpose(3, 1, 2, 0), cotangent.transpose(1, 2, 0, 3), (before, after))
    return to_x, to_kernel.transpose(1, 2, 0, 3)


_convolved.defvjp(_forward, _backward)
