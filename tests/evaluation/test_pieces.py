"""Scoring in pieces: the same draws, the same numbers, smaller products."""

import jax
import numpy as np
import pytest
from support.models import dlgm, summary

from sbvi.distributions.likelihoods.bernoulli import Bernoulli
from sbvi.evaluation.pieces import ROWS, InPieces, fitting
from sbvi.gradients import Paths
from sbvi.inference.importance import even, importance_sampling
from sbvi.models import MODELS
from sbvi.networks.dense import NETWORKS
from sbvi.networks.keys import Keys


@pytest.mark.parametrize("pieces", [2, 3, 5, 6])
def test_pieces_change_no_draw_and_no_number(pieces):
    """Five pieces of six samples cannot be: they are scored whole."""
    model = dlgm((7,), posterior="rank_one", latents=(3, 2), hidden=(4,), recognition_hidden=(4,))
    params = model.init(0, summary(np.full(7, 0.4), np.ones(7)))
    x = jax.random.uniform(jax.random.key(1), (4, 7)).round()

    def scored(count):
        def rollout(*words):
            return model.rollout(*words, paths=Paths(rule=InPieces(count)))

        return jax.jit(importance_sampling(rollout, 22, 6))(params, jax.random.key(0), x)

    for whole, parts in zip(jax.tree.leaves(scored(1)), jax.tree.leaves(scored(pieces)), strict=True):
        np.testing.assert_allclose(parts, whole, rtol=1e-5)


def test_a_piece_is_what_the_likelihood_sees():
    """Six samples in three pieces: two at a time."""
    seen = []

    class Recording(Bernoulli):
        def log_prob(self, outputs, free, x):
            seen.append(outputs.shape)
            return super().log_prob(outputs, free, x)

    model = dlgm((7,), Recording(), "rank_one", latents=(3, 2), hidden=(4,), recognition_hidden=(4,))
    params = model.init(0, summary(np.full(7, 0.4), np.ones(7)))
    for pieces, rows in ((1, (6, 4, 7)), (3, (2, 4, 7))):
        seen.clear()
        jax.eval_shape(
            lambda p, c=pieces: model.rollout(p, jax.random.key(0), np.zeros((4, 7)), 6, paths=Paths(rule=InPieces(c))),
            params,
        )
        assert set(seen) == {rows}


def test_one_core_takes_pieces_and_several_do_not():
    assert fitting(20, 100, True) == InPieces(20 * 100 // ROWS)
    assert fitting(20, 100, False) == InPieces(1)
    assert fitting(7, 100, True) == InPieces(7)  # no number of pieces but seven divides them
    assert fitting(2, 10 * ROWS, True) == InPieces(2)  # a piece has a sample at least


def test_the_default_model_s_pieces_have_rows_enough_for_one_matrix_less():
    """Of the top layer's noise matrix and the map's first, which pieces of 400 rows multiplied apart for a while."""
    spec = MODELS["dlgm"]()
    rngs = Keys(jax.random.key(0))
    network = NETWORKS[spec.network]((spec.latents[-1], *spec.hidden[:1]), spec.activation, rngs)
    assert spec.noise_matrix == "full"
    assert network.joins(ROWS)


def test_chunks_are_even_and_meet_the_samples():
    for samples in range(1, 60):
        for chunk in range(1, 60):
            size = even(samples, chunk)
            rounds = -(-samples // size)
            assert size <= chunk
            assert rounds * size - samples < rounds
            assert even(samples, size) == size
