"""A run's pictures: what they show, and what making them costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.reporting.images import grid
from sbvi.runs import Experiment
from sbvi.runs.assembly import Assembly, Shared
from sbvi.runs.pictures import COLUMNS, between

MADE = {
    "dataset": {"name": "digits"},
    "model": {"name": "dlgm", "latents": [2, 3], "hidden": [8], "recognition_hidden": [8]},
    "likelihood": {"name": "bernoulli"},
    "posterior": {"name": "diagonal"},
    "objective": {"name": "free_energy"},
    "optimizer": {},
    "trainer": {"steps": 10},
    "evaluation": {},
    "runtime": {"compilation_cache": False},
}


@pytest.fixture(scope="module")
def shared():
    return Shared()


def assembled(shared, **top):
    return Assembly.build(Experiment.from_config(MADE | top), shared)


@pytest.fixture
def compiled():
    """The programs compiled while a test runs."""
    names = []

    def note(event, seconds, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(about.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(note)
    yield names
    jax.monitoring.unregister_event_duration_listener(note)


def test_pictures_are_the_model_s_own(shared):
    assembly = assembled(shared)
    model, params = assembly.model, assembly.initial_state().params
    found = assembly.pictures.of(params, 3)
    assert set(found) == {"samples", "reconstructions", "manifold_layer_1", "interpolations", "traversals"}

    means = np.asarray(model.sample(params, jax.random.key(3), 100)[0]).reshape(-1, 8, 8)
    assert np.abs(found["samples"].astype(int) - grid(means, 10)).max() <= 1  # rounded to 256 greys

    real = assembly.dataset.seen("test", 50)
    decoded = model.decode(params, {n: q.mean for n, q in model.gaussians(params, jnp.asarray(real)).items()})
    pairs = np.stack([real.reshape(5, 10, 8, 8), np.asarray(decoded).reshape(5, 10, 8, 8)], 1)
    assert np.abs(found["reconstructions"].astype(int) - grid(pairs.reshape(-1, 8, 8), 10)).max() <= 1

    # The ends of a way are the reconstructions themselves, its middle that of the latents' mean.
    assert found["interpolations"].shape == (5 * 63 + 7, 10 * 63 + 7)
    ways = found["interpolations"].astype(int)
    for column, example in ((0, 2), (9, 3)):
        image = ways[70 : 70 + 56 : 7, 7 + 63 * column : 63 + 63 * column : 7]
        assert np.abs(image - np.asarray(decoded)[example].reshape(8, 8) * 255).max() <= 1

    # The latents that vary most are moved, one a row, the others stay the first example's.
    moments = {n: np.asarray(q.mean) for n, q in model.gaussians(params, jnp.asarray(real)).items()}
    whole = np.concatenate(list(moments.values()), -1)
    assert found["traversals"].shape[0] == 5 * 63 + 7  # five latents in all
    point = whole[:1].copy()
    point[0, np.argmax(whole.var(0))] = 3.0
    image = model.decode(params, {"layer_1": jnp.asarray(point[:, :2]), "layer_2": jnp.asarray(point[:, 2:])})
    last = found["traversals"][7:63:7, 7 + 63 * 9 : 63 + 63 * 9 : 7]
    assert np.abs(last.astype(int) - np.asarray(image).reshape(8, 8) * 255).max() <= 1

    # Its upper left corner: the least first latent and the greatest second, each a fortieth of the mass from the end.
    corner = np.array([[-1.9599640, 1.9599640]], np.float32)
    image = model.decode(params, {"layer_1": jnp.asarray(corner), "layer_2": jnp.zeros((1, 3))})
    first = found["manifold_layer_1"][7:63:7, 7:63:7][:8, :8]
    assert np.abs(first.astype(int) - (np.asarray(image).reshape(8, 8) * 255)).max() <= 1


def test_a_manifold_is_of_the_prior_that_was_chosen(shared):
    """Of one coupling that moves and stretches the second latent by constants: points of equal mass are N(0, I)'s, so
    moved."""
    assembly = assembled(shared, prior={"name": "flow", "couplings": 1, "hidden": 3})
    model, params = assembly.model, jax.tree.map(lambda a: a, assembly.initial_state().params)
    own = params.prior["layer_1"]
    own |= {"last": jnp.zeros_like(own["last"]), "last_bias": jnp.asarray([[0.6, -0.7]])}
    corner = np.array([[-1.9599640, 1.9599640 * np.exp(2 * np.tanh(0.3)) - 0.7]], np.float32)
    image = model.decode(params, {"layer_1": jnp.asarray(corner), "layer_2": jnp.zeros((1, 3))})
    first = assembly.pictures.of(params, 3)["manifold_layer_1"][7:63:7, 7:63:7][:8, :8]
    assert np.abs(first.astype(int) - np.asarray(image).reshape(8, 8) * 255).max() <= 1
    still = model.decode(params, {"layer_1": jnp.asarray([[-1.9599640, 1.9599640]]), "layer_2": jnp.zeros((1, 3))})
    assert np.abs(np.asarray(still - image)).max() * 255 > 3


def test_they_take_one_program_and_none_for_the_next_run(shared, compiled):
    assembly = assembled(shared, seed=1)
    assembly.pictures.of(assembly.initial_state().params, 1)
    other = assembled(shared, seed=2)
    params = other.initial_state().params
    assert other.pictures is assembly.pictures
    compiled.clear()
    other.pictures.of(params, 2)
    assert compiled == []

    fresh = assembled(Shared(), seed=2)
    fresh.pictures.of(params, 2)
    assert len(compiled) == 1


@pytest.mark.quick
@pytest.mark.parametrize(("count", "ends"), [(1, [(0, 0)]), (3, [(0, 1), (2, 0)]), (4, [(0, 1), (2, 3)])])
def test_ways_between_few_examples(count, ends):
    """From every second example to the next one, the last one's being the first; of twelve as of ten."""
    ways = np.asarray(between({"z": jnp.arange(float(count))[:, None]})["z"]).reshape(-1, COLUMNS)
    assert [(row[0], row[-1]) for row in ways] == ends
    many = between({"z": jnp.arange(12.0)[:, None]})["z"].reshape(-1, COLUMNS)
    assert many[:, [0, -1]].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
