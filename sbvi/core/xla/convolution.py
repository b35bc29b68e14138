"""A convolution whose gradient stays fast inside a loop.

The gradient is that of JAX, as convolutions of the plain layout (NHWC, HWIO). XLA's CPU compiler brings others to it
in a program's first computation alone: inside a loop, where training is, they took a hundred times as long. The
kernel's is a convolution whose channels are the examples: it is summed over pieces of some twenty of them, since all
at once they fall out of the cache. On an accelerator the gradient is JAX's own.
Benchmark: `scripts/benchmark_xla_tricks.py convolution convolution_batch masked`.
"""

from functools import partial

import jax
import jax.numpy as jnp

from sbvi.core.xla import for_cpu

Array = jax.Array
Padding = tuple[tuple[int, int], tuple[int, int]]

#: Examples of a piece, the fastest first: in fours, as the library's vectors take them.
PIECES = (20, 24, 16, 28, 12)


def plain_convolution(x: Array, kernel: Array, padding: Padding | None = None) -> Array:
    """(B, H, W, C), (k, l, C, C') -> (B, H, W, C'), of stride one, zeros beyond the edges; with JAX's gradient.

    padding: these zeros, (before, after) along the height and along the width, k - 1 and l - 1 of them; None for
    kernels whose middle is their own pixel.
    """
    result: Array = jax.lax.conv_general_dilated(
        x, kernel, (1, 1), padding or _around(kernel), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return result


def convolved(x: Array, kernel: Array, padding: Padding | None = None) -> Array:
    """As `plain_convolution`; on a CPU with a gradient of its own: reverse mode only."""
    return _convolved(x, kernel, padding or _around(kernel)) if for_cpu() else plain_convolution(x, kernel, padding)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolved(x: Array, kernel: Array, padding: Padding) -> Array:
    return plain_convolution(x, kernel, padding)


def _around(kernel: Array) -> Padding:
    height, width = (((k - 1) // 2, k // 2) for k in kernel.shape[:2])
    return height, width


def _forward(x: Array, kernel: Array, padding: Padding) -> tuple[Array, tuple[Array, Array]]:
    return plain_convolution(x, kernel, padding), (x, kernel)


def _backward(padding: Padding, kept: tuple[Array, Array], cotangent: Array) -> tuple[Array, Array]:
    x, kernel = kept
    height, width = ((after, before) for before, after in padding)
    to_x = plain_convolution(cotangent, kernel[::-1, ::-1].transpose(0, 1, 3, 2), (height, width))
    return to_x, _to_kernel(x, cotangent, kernel, padding)


def _to_kernel(x: Array, cotangent: Array, kernel: Array, padding: Padding) -> Array:
    def of(piece: tuple[Array, Array]) -> Array:
        values, slopes = piece
        products = plain_convolution(values.transpose(3, 1, 2, 0), slopes.transpose(1, 2, 0, 3), padding)
        return products.transpose(1, 2, 0, 3)

    size = piece_size(len(x))
    if size == len(x):
        return of((x, cotangent))
    pieces = _in_pieces(x, size), _in_pieces(cotangent, size)
    total, _ = jax.lax.scan(lambda sofar, piece: (sofar + of(piece), None), jnp.zeros_like(kernel), pieces)
    return total


def piece_size(rows: int) -> int:
    """Of the pieces that so many examples are summed in: the size that fills them up with the fewest zeros,
    and of such the fastest."""
    return rows if rows <= max(PIECES) else min(PIECES, key=lambda size: -(-rows // size) * size)


def _in_pieces(values: Array, size: int) -> Array:
    """(B, ...) -> (pieces, size, ...), filled up with zeros. A piece takes its rows from all over the batch, so that
    over a mesh each device has a part of every piece and none of its rows is sent."""
    count = -(-len(values) // size)
    filled = jnp.pad(values, ((0, count * size - len(values)), *((0, 0),) * (values.ndim - 1)))
    return filled.reshape(size, count, *values.shape[1:]).swapaxes(0, 1)


_convolved.defvjp(_forward, _backward)
