"""An exception in a line: of one that holds another's traceback, the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.core.errors import reason

pytestmark = pytest.mark.quick

CHAINED = """INTERNAL: CpuCallback error calling callback: Traceback (most recent call last):
  File "a.py", line 1, in host
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in host
LookupError: no x
in any table.
"""


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("boom.\nIt has more to say."), "RuntimeError: boom"),
        (OSError(), "OSError"),
        (ValueError(CHAINED), "LookupError: no x"),
        (ValueError("Traceback (most recent call last):"), "ValueError: Traceback (most recent call last)"),
    ],
)
def test_a_line(error, line):
    assert reason(error) == line


def test_a_callback_of_jax():
    def host(x):
        raise RuntimeError("boom on the host")

    with pytest.raises(Exception, match="boom on the host") as told:
        jax.jit(lambda x: jax.pure_callback(host, jax.ShapeDtypeStruct((), np.float32), x))(
            jnp.float32(1)
        ).block_until_ready()
    assert reason(told.value) == "RuntimeError: boom on the host"
