"""Each entry is scored by a recognition model that does not see it."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
from support.models import batch

from sbvi.evaluation import columns
from sbvi.evaluation.columns import SAMPLES, column_nll, left_out


class Echo:
    """A model whose latents are what its recognition model was given, and whose entries are what of these is hidden: 1
    for an entry's own place, and 10 for each other one."""

    def rollout(self, params, key, x, num_samples):
        seen = jnp.broadcast_to(x, (num_samples, *x.shape))
        return SimpleNamespace(latents={"z": seen}, log_weights=lambda: jnp.zeros((num_samples, len(x))))

    def column_log_probs(self, params, latents, x):
        hidden = jnp.isnan(latents["z"]).astype(x.dtype)
        assert len(hidden) == SAMPLES
        return hidden + 10 * (jnp.sum(hidden, -1, keepdims=True) - hidden)


def test_the_recognition_model_sees_all_entries_but_the_one_that_is_scored():
    found = jax.jit(lambda x: left_out(Echo())((), jax.random.key(0), batch(x)))(jnp.zeros((3, 4)))
    np.testing.assert_allclose(found, np.ones((3, 4)), rtol=1e-5)


def test_a_column_s_mean_is_over_the_rows_that_have_it(monkeypatch):
    """Of a gap log p is 0, which is no entry's; a column without entries is left out."""
    x = np.array([[0.0, 0, np.nan], [np.nan, 0, np.nan]])
    data = SimpleNamespace(
        preprocessing=SimpleNamespace(table=[SimpleNamespace(name=name) for name in "abc"]),
        evaluated=lambda *_: SimpleNamespace(x=x),
    )
    log_probs = np.array([[-1.0, -2, 0], [0, -4, 0]], np.float32)
    monkeypatch.setattr(columns, "batched", lambda *_: None)
    monkeypatch.setattr(columns, "map_batches", lambda *_, **__: lambda *_: log_probs)
    assert column_nll(Echo(), (), data, "test", jax.random.key(0), 10) == {"a": 1, "b": 3}
