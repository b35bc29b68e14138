"""A run's pictures: what they show, and what making them costs."""

import contextlib
import errno
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from support.small_run import experiment, train

from sbvi.core import UserError
from sbvi.distributions.priors.marginals import marginals
from sbvi.models import Helmholtz
from sbvi.models.values import DataFacts, Samples
from sbvi.posteriors.posterior import Moments
from sbvi.reporting.images import grid
from sbvi.runs import Experiment
from sbvi.runs.assembly import Assembly, Shared
from sbvi.runs.pictures import COLUMNS, ENDS, STEPS, Pictures, _latents, _of_examples, between, left_out, most_active

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


@functools.cache
def program(method, fixed=None):
    """A model's method, compiled: op by op it would be dozens of programs."""
    return jax.jit(method, static_argnums=fixed)


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


def drawn(pictures, params):
    """name -> the grid alone."""
    return {name: panel.picture for name, panel in pictures.of(params, 3).items()}


def test_pictures_are_the_model_s_own(shared):
    assembly = assembled(shared)
    model, params = assembly.model, assembly.initial_state().params
    found = drawn(assembly.pictures, params)
    assert set(found) == {"samples", "reconstructions", "manifold_layer_1", "interpolations", "traversals"}

    means = np.asarray(program(model.sample, 2)(params, jax.random.key(3), 100)[0]).reshape(-1, 8, 8)
    assert np.abs(found["samples"].astype(int) - grid(means, 10)).max() <= 1  # rounded to 256 greys

    real = assembly.dataset.seen("test", 50)
    decoded = program(model.decode)(
        params, {n: q.mean for n, q in program(model.gaussians)(params, jnp.asarray(real)).items()}
    )
    pairs = np.stack([real.reshape(5, 10, 8, 8), np.asarray(decoded).reshape(5, 10, 8, 8)], 1)
    assert np.abs(found["reconstructions"].astype(int) - grid(pairs.reshape(-1, 8, 8), 10)).max() <= 1

    # The ends of a way are the reconstructions themselves, its middle that of the latents' mean.
    assert found["interpolations"].shape == (5 * 63 + 7, 10 * 63 + 7)
    ways = found["interpolations"].astype(int)
    for column, example in ((0, 2), (9, 3)):
        image = ways[70 : 70 + 56 : 7, 7 + 63 * column : 63 + 63 * column : 7]
        assert np.abs(image - np.asarray(decoded)[example].reshape(8, 8) * 255).max() <= 1

    # The latents that vary most are moved, one a row, the others stay the first example's.
    moments = {n: np.asarray(q.mean) for n, q in program(model.gaussians)(params, jnp.asarray(real)).items()}
    whole = np.concatenate(list(moments.values()), -1)
    assert found["traversals"].shape[0] == 5 * 63 + 7  # five latents in all
    point = whole[:1].copy()
    point[0, np.argmax(whole.var(0))] = 3.0
    image = program(model.decode)(params, {"layer_1": jnp.asarray(point[:, :2]), "layer_2": jnp.asarray(point[:, 2:])})
    last = found["traversals"][7:63:7, 7 + 63 * 9 : 63 + 63 * 9 : 7]
    assert np.abs(last.astype(int) - np.asarray(image).reshape(8, 8) * 255).max() <= 1

    # Its upper left corner: the least first latent and the greatest second, each a fortieth of the mass from the end.
    corner = np.array([[-1.9599640, 1.9599640]], np.float32)
    image = program(model.decode)(params, {"layer_1": jnp.asarray(corner), "layer_2": jnp.zeros((1, 3))})
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
    image = program(model.decode)(params, {"layer_1": jnp.asarray(corner), "layer_2": jnp.zeros((1, 3))})
    first = drawn(assembly.pictures, params)["manifold_layer_1"][7:63:7, 7:63:7][:8, :8]
    assert np.abs(first.astype(int) - np.asarray(image).reshape(8, 8) * 255).max() <= 1
    still = program(model.decode)(
        params, {"layer_1": jnp.asarray([[-1.9599640, 1.9599640]]), "layer_2": jnp.zeros((1, 3))}
    )
    assert np.abs(np.asarray(still - image)).max() * 255 > 3


def tile(picture, row, column):
    """One image of a grid of images of 8 x 8, of which each pixel is seven; values of 0..255."""
    return picture[::7, ::7].astype(int)[1 + 9 * row : 9 + 9 * row, 1 + 9 * column : 9 + 9 * column]


def decoded(model, params, **latents):
    """E[x | z] of one z, in 0..255."""
    z = {node: jnp.asarray(np.asarray(value)[None], jnp.float32) for node, value in latents.items()}
    return np.asarray(program(model.decode)(params, z)).reshape(8, 8) * 255


@pytest.mark.parametrize("posterior", ["planar", "coupling", "inverse_autoregressive", "hierarchical", "top_down"])
def test_every_posterior_of_continuous_latents_has_ways_between_examples_and_along_latents(shared, posterior):
    assembly = assembled(shared, posterior={"name": posterior})
    model, params = assembly.model, assembly.initial_state().params
    found = drawn(assembly.pictures, params)
    assert set(found) == {"samples", "reconstructions", "manifold_layer_1", "interpolations", "traversals"}
    means = {
        n: q.mean for n, q in program(model.encode)(params, jnp.asarray(assembly.dataset.seen("test", 50))).items()
    }
    for column, example in ((0, 0), (9, 1)):
        ends = {node: mean[example] for node, mean in means.items()}
        assert np.abs(tile(found["interpolations"], 0, column) - decoded(model, params, **ends)).max() <= 1


@pytest.mark.parametrize("units", ["bernoulli", ("gaussian", "bernoulli")])
def test_discrete_latents_have_no_ways_between_values_and_are_said_to_have_no_manifold(shared, units, caplog):
    model = Helmholtz(layers=(3, 2), units=units).build(DataFacts((8, 8), True))
    pictures = Pictures(model, assembled(shared).dataset)
    with caplog.at_level("INFO"):
        found = drawn(pictures, model.init(0, assembled(shared).summary))
    assert set(found) == {"samples", "reconstructions"} == set(pictures.titles)
    assert [record.getMessage() for record in caplog.records if "manifold" in record.getMessage()] == [
        "There is no picture manifold_layer_2: it needs a density with a gradient in the latents."
    ]


def away_from_zero(model, params):
    """A mixture prior far from N(0, I), whose means and ranges are other ones for each latent."""
    for node, size in model.latent_sizes().items():
        own = params.prior[node]
        own |= {
            "mean": own["mean"] / 4 + 5 + jnp.arange(size, dtype=jnp.float32)[None],
            "log_scale": 0.7 + own["log_scale"],
        }
    return params


def test_traversals_span_the_prior_s_own_range_and_are_said_to(shared):
    assembly = assembled(shared, prior={"name": "mixture", "components": 3})
    model, params = assembly.model, away_from_zero(assembly.model, assembly.initial_state().params)
    found = drawn(assembly.pictures, params)
    real = jnp.asarray(assembly.dataset.seen("test", 50))
    means = {n: np.asarray(q.mean) for n, q in program(model.encode)(params, real).items()}
    draws = model.node_prior().sample(params.prior, jax.random.key(8), 200_000)
    most = max(means, key=lambda n: means[n].var(0).max())
    latent = int(np.argmax(means[most].var(0)))
    for column, share in ((0, ENDS[0]), (9, ENDS[1])):
        point = {node: mean[0].copy() for node, mean in means.items()}
        point[most][latent] = np.quantile(np.asarray(draws[most])[:, latent], share)
        image = decoded(model, params, **point)
        assert np.abs(tile(found["traversals"], 0, column) - image).max() <= 4  # 10,000 draws know the end to 0.1
        point[most][latent] = 3.0 if column else -3.0
        assert np.abs(decoded(model, params, **point) - image).max() > 8  # which N(0, I)'s range is not
    said = "the most active latents, one a row, "
    assert assembly.pictures.titles["traversals"] == said + "over the prior's quantiles 0.13 % to 99.87 %"
    assert assembled(shared).pictures.titles["traversals"] == said + "from -3 to 3"


def test_the_latents_of_traversals_are_named_and_idle_ones_told(shared):
    """In the order of what their means vary by, whose own errors' variance does not count (Burda et al. 2016)."""
    generator = np.random.default_rng(0)
    mean = jnp.asarray(generator.normal(size=(400, 5)) * np.array([0.05, 1, 0.3, 0.09, 2]), jnp.float32)
    error = jnp.zeros((400, 5)).at[:, 4].set(4.0)  # as much as its mean varies: it says nothing
    moments = {"layer_1": Moments(mean[:, :2], mean[:, :2], error[:, :2])}
    moments["layer_2"] = Moments(mean[:, 2:], mean[:, 2:], error[:, 2:])
    found = most_active(moments)
    assert [int(k) for k in found.latent if k != 4] == [1, 2, 3, 0]
    assembly = assembled(shared)
    rows = dict(zip(np.asarray(found.latent).tolist(), _latents(assembly.model, found), strict=True))
    del rows[4]
    assert rows == {1: "layer_1, 1", 2: "layer_2, 0", 3: "layer_2, 1, idle", 0: "layer_1, 0, idle"}

    params = assembly.initial_state().params
    panel = assembly.pictures.of(params, 3)["traversals"]
    means = [
        q.mean for q in program(assembly.model.encode)(params, jnp.asarray(assembly.dataset.seen("test", 50))).values()
    ]
    variances = np.concatenate([np.var(np.asarray(own), 0) for own in means])
    assert [", idle" in row for row in panel.rows] == (np.sort(variances)[::-1] <= 0.01).tolist()
    assert ("at most 0.01" in panel.title) == bool((variances <= 0.01).any())


@pytest.mark.parametrize(("count", "rows", "across"), [(3, 2, 3), (13, 2, 10), (20, 4, 10)])
def test_each_of_few_examples_is_above_its_own_reconstruction(shared, count, rows, across):
    assembly = assembled(shared)
    model, params = assembly.model, assembly.initial_state().params
    dataset = assembly.dataset.with_split("test", assembly.dataset.evaluated("test", count))
    panel = Pictures(model, dataset).of(params, 3)["reconstructions"]
    assert panel.picture.shape == (rows * 63 + 7, across * 63 + 7)
    assert panel.rows == ("data", "reconstruction", *[""] * (rows - 2))
    real = jnp.asarray(dataset.seen("test"))
    means = {node: np.asarray(moments.mean) for node, moments in program(model.encode)(params, real).items()}
    for column in range(across):
        np.testing.assert_array_equal(tile(panel.picture, 0, column), np.asarray(real)[column].reshape(8, 8) * 255)
        own = decoded(model, params, **{node: mean[column] for node, mean in means.items()})
        assert np.abs(tile(panel.picture, 1, column) - own).max() <= 1


@pytest.mark.parametrize("prior", ["mixture", "vamp"])
def test_a_prior_without_a_grid_has_a_manifold_of_its_quantiles_with_other_nodes_at_its_mean(shared, prior):
    assembly = assembled(shared, prior={"name": prior, "components": 3})
    model, params = assembly.model, assembly.initial_state().params
    params = away_from_zero(model, params) if prior == "mixture" else params
    found = drawn(assembly.pictures, params)["manifold_layer_1"]
    middles = [(step + 0.5) / STEPS for step in range(STEPS)]
    asked = marginals(model.node_prior(), model.prior_params(params), middles)
    rows, others = asked["layer_1"].quantiles, asked["layer_2"].mean
    for row, column in ((0, 0), (0, STEPS - 1), (STEPS - 1, 0), (7, 12)):
        image = decoded(model, params, layer_1=[rows[column, 0], rows[STEPS - 1 - row, 1]], layer_2=others)
        assert np.abs(tile(found, row, column) - image).max() <= 1
        if prior == "mixture":
            still = decoded(
                model, params, layer_1=[rows[column, 0], rows[STEPS - 1 - row, 1]], layer_2=np.zeros(len(others))
            )
            assert np.abs(still - image).max() > 3
    said = "two latents of layer_1, at the prior's quantiles of each; others at the prior's mean"
    assert assembly.pictures.titles["manifold_layer_1"] == said
    said = "two latents of layer_1, at points of equal prior mass; others at the prior's mean"
    assert assembled(shared).pictures.titles["manifold_layer_1"] == said


def test_pixels_that_depend_on_one_another_are_shown_as_draws(shared):
    """Black and white, and not the grey of p along a draw."""
    assembly = assembled(shared, likelihood={"name": "pixel_cnn", "channels": 2, "layers": 2})
    model, params = assembly.model, assembly.initial_state().params
    found = drawn(assembly.pictures, params)
    values = np.asarray(program(model.sample, 2)(params, jax.random.key(3), 100).value).reshape(-1, 8, 8)
    np.testing.assert_array_equal(found["samples"], grid(values, 10))
    for name, picture in found.items():
        rows, columns = (np.array(picture.shape) // 63).tolist()
        first = 1 if name == "reconstructions" else 0  # above each is the data
        tiles = [tile(picture, row, column) for row in range(first, rows, first + 1) for column in range(columns)]
        assert set(np.unique(tiles)) == {0, 255}
    assert assembly.pictures.titles["reconstructions"].endswith("below each a draw given its posterior mean")
    assert assembled(shared).pictures.titles["reconstructions"].endswith("below each its reconstruction")


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


def boom(*_):
    raise RuntimeError("boom")


def test_a_picture_that_cannot_be_made_is_left_out_and_told(shared, monkeypatch, caplog):
    assembly = assembled(shared)
    params = assembly.initial_state().params
    monkeypatch.setattr(assembly.model, "sample", boom)
    found = Pictures(assembly.model, assembly.dataset).of(params, 3)
    assert set(found) == {"reconstructions", "manifold_layer_1", "interpolations", "traversals"}
    assert [r.getMessage() for r in caplog.records] == ["There is no picture samples: RuntimeError: boom."]


@pytest.mark.parametrize(
    ("raised", "left"),
    [
        (RuntimeError("boom"), True),
        (UserError("It cannot be."), True),
        (OSError("none"), True),
        (MemoryError(), False),
        (KeyboardInterrupt(), False),
        (ValueError("CpuCallback error\nKeyboardInterrupt:"), False),  # as JAX hands a signal on
    ],
)
@pytest.mark.quick
def test_signals_and_full_memory_end_a_run_that_makes_pictures(raised, left, caplog):
    with contextlib.nullcontext() if left else pytest.raises(type(raised)), left_out("samples"):
        raise raised
    assert len(caplog.records) == left


@pytest.mark.quick
def test_draws_of_another_shape_are_no_picture(shared):
    model, good = assembled(shared).model, jnp.zeros((3, 64))
    assert _of_examples(model, "sample", Samples(good, good), 3, "mean") is good
    for given, what in [(None, "None"), (Samples(good, good[0, 0]), r"an array of shape \(\)")]:
        with pytest.raises(UserError, match=rf"sample gives {what}; it must give value of shape \(3, 64\) for 3"):
            _of_examples(model, "sample", given, 3, "value")


def test_a_picture_that_cannot_be_drawn_costs_a_run_nothing_else(tmp_path, monkeypatch, caplog):
    """But for a disk that is full, where the run goes on once it is not."""
    monkeypatch.setattr("sbvi.reporting.recorder.save_curves", boom)
    result = train(experiment(), tmp_path / "run", pictures=True)
    assert result["status"] == "completed"
    assert np.isfinite(result["metrics"]["test/nll"])
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    assert "There is no picture curves: RuntimeError: boom." in [r.getMessage() for r in caplog.records]

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("sbvi.reporting.recorder.save_curves", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        train(experiment(seed=1), tmp_path / "full", pictures=True)


@pytest.mark.quick
@pytest.mark.parametrize(("count", "ends"), [(1, [(0, 0)]), (3, [(0, 1), (2, 0)]), (4, [(0, 1), (2, 3)])])
def test_ways_between_few_examples(count, ends):
    """From every second example to the next one, the last one's being the first; of twelve as of ten."""
    ways = np.asarray(between({"z": jnp.arange(float(count))[:, None]})["z"]).reshape(-1, COLUMNS)
    assert [(row[0], row[-1]) for row in ways] == ends
    many = between({"z": jnp.arange(12.0)[:, None]})["z"].reshape(-1, COLUMNS)
    assert many[:, [0, -1]].tolist() == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
