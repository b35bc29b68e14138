"""Runs made before checkpoints were safetensors files: they load, evaluate and go on."""

import hashlib
import json
import shutil

import jax
import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import ROOT
from support.processes import run

import sbvi
from sbvi.core import UserError
from sbvi.runs.experiment import Experiment
from sbvi.runs.legacy import FORMAT, upgraded
from sbvi.tasks.likelihood import LikelihoodTask
from sbvi.training import Store, checkpoint, legacy_checkpoint
from sbvi.training.checkpoint import DamagedCheckpoint
from sbvi.training.tensor_names import dotted, named_leaves

RUNS = ROOT / "tests" / "fixtures" / "runs"
TREE = {"maps": [{"w": np.arange(3.0)}], "n": np.int32(4)}


@pytest.fixture
def old(tmp_path):
    """Copies of the runs, to work on."""
    shutil.copytree(RUNS, tmp_path / "runs")
    return tmp_path / "runs"


def recorded(folder):
    return json.loads((folder / "result.json").read_text())["metrics"]


def by_samples(metrics):
    """The numbers as they were then: two latents are summed by quadrature today, and that is what test/nll says."""
    return metrics | {"test/nll": metrics["test/nll_by_samples"]}


def test_a_run_of_before_loads_with_its_numbers(old):
    loaded = sbvi.load_run(old / "completed")
    found = by_samples(LikelihoodTask(num_samples=10).run(loaded).scalars)
    expected = recorded(old / "completed")
    for name in ("test/nll", "test/elbo", "test/kl"):
        assert found[name] == pytest.approx(expected[name], rel=1e-4)
    assert not list((old / "completed" / "checkpoints").glob("*.safetensors"))


def test_a_run_of_before_is_evaluated(old):
    words = (f"run={old / 'completed'}", "task=likelihood", "task.num_samples=10")
    code, output = run(*words, cwd=old, name="evaluate")
    assert code == 0, output
    (path,) = (old / "completed" / "evaluations").glob("likelihood-test-*.json")
    found = by_samples(json.loads(path.read_text())["metrics"])
    assert found["test/nll"] == pytest.approx(recorded(old / "completed")["test/nll"], rel=1e-4)


def test_a_stopped_run_of_before_ends_as_if_it_had_not_been(old):
    code, output = run(f"resume={old / 'stopped'}", cwd=old)
    assert code == 0, output
    assert "Going on from step 30 of 60" in output
    found, expected = by_samples(recorded(old / "stopped")), recorded(old / "completed")
    assert found.keys() >= expected.keys()
    # The speed is this machine's, and the error of test/nll is now that of the exact values.
    for name in expected.keys() - {"train/examples_per_second", "test/nll_stderr"}:
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name
    # It went on in the format of today, with the arrays that the other run left in that of before.
    for name in ("last", "best"):
        arrays = checkpoint.read(old / "stopped" / "checkpoints" / f"{name}.safetensors")[0]
        theirs = legacy_checkpoint.read(old / "completed" / "checkpoints" / f"{name}.msgpack")[0]
        assert arrays.keys() == theirs.keys()
        for key, value in theirs.items():
            np.testing.assert_allclose(arrays[key], value, rtol=1e-4, atol=1e-7)


def write(path, tree, metadata, version=2):
    """As sbvi wrote checkpoints then."""
    leaves = []
    for where, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        array, data = np.asarray(leaf), np.asarray(leaf).tobytes()
        entry = {"path": jax.tree_util.keystr(where), "dtype": array.dtype.name, "shape": list(array.shape)}
        leaves.append(entry | {"sha256": hashlib.sha256(data).digest(), "data": data})
    parts = {"metadata": metadata, "leaves": leaves}
    body = msgpack.packb(parts)
    digest = hashlib.sha256(body).digest()
    document = {"format": version, **({"sha256": digest, "body": body} if version > 1 else parts)}
    path.write_bytes(msgpack.packb(document))


@pytest.mark.parametrize("version", [1, 2])
def test_both_formats_are_read_and_others_refused(version, tmp_path):
    store = Store(tmp_path)
    for name, step in (("previous", 10), ("last", 20), ("best", 20)):
        write(tmp_path / f"{name}.msgpack", TREE, {"step": step}, version)
    for found, metadata in (store.load_last(TREE), store.load_best(TREE)):
        assert metadata == {"step": 20}
        np.testing.assert_array_equal(found["maps"][0]["w"], np.arange(3.0))
        assert found["n"] == 4
    write(tmp_path / "last.msgpack", TREE, {}, 3)
    with pytest.raises(DamagedCheckpoint, match="has format 3; such files have formats 1 and 2"):
        legacy_checkpoint.read(tmp_path / "last.msgpack")


def test_what_is_newer_comes_first(tmp_path):
    store = Store(tmp_path)
    write(tmp_path / "last.msgpack", TREE, {"step": 20})
    write(tmp_path / "best.msgpack", TREE, {"step": 20})
    store.save_last(TREE, {"step": 30})
    assert store.load_last(TREE)[1]["step"] == 30
    assert store.load_best(TREE)[1]["step"] == 20
    store.save_best(TREE, {"step": 30})
    assert store.load_best(TREE)[1]["step"] == 30
    # Damage to the first state of today costs one interval, as ever.
    store.path("last").write_bytes(b"")
    assert store.load_last(TREE)[1]["step"] == 20


@pytest.mark.promise("Every altered or cut checkpoint of an earlier version is noticed, and named", "files altered")
def test_damage_to_old_files_is_noticed(tmp_path, tally):
    path = tmp_path / "last.msgpack"
    write(path, TREE, {"step": 20})
    content = path.read_bytes()
    damaged = [content[:cut] for cut in range(0, len(content), 7)]
    for position in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        damaged.append(bytes(flipped))
    for altered in damaged:
        path.write_bytes(altered)
        with pytest.raises(DamagedCheckpoint, match=r"last\.msgpack (is damaged|has format)"):
            legacy_checkpoint.read(path)
    tally(len(damaged))


TREES = st.recursive(
    st.integers(0, 9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab_1 -", min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(TREES)
def test_old_names_become_todays(tree):
    located = jax.tree_util.tree_flatten_with_path(tree)[0]
    names = [legacy_checkpoint.name_of(jax.tree_util.keystr(where)) for where, _ in located]
    assert names == list(named_leaves(tree))


def test_what_is_no_path_is_refused():
    assert legacy_checkpoint.name_of(".a['b'][0].value") == dotted(["a", "b", "0"]) == "a.b.0"
    for text in ("a", ".a[", ".a['b]", ".a['b'] "):
        with pytest.raises(ValueError, match="is no path of a leaf"):
            legacy_checkpoint.name_of(text)


def test_states_of_orbax_are_refused_in_a_sentence(tmp_path):
    (tmp_path / "steps" / "40").mkdir(parents=True)
    store = Store(tmp_path)
    with pytest.raises(UserError, match=r"holds the state of step 40 as several .* finish the run with the version"):
        store.load_last(TREE)
    write(tmp_path / "last.msgpack", TREE, {"step": 30})
    with pytest.raises(UserError, match="holds the state of step 40"):
        store.load_last(TREE)
    # One process has gone on since.
    store.save_last(TREE, {"step": 50})
    assert store.load_last(TREE)[1]["step"] == 50


def test_dropout_of_circuits_without_labels_is_read_as_what_it_did():
    """Nothing; it is refused now, and a run made before still loads."""
    model = {"name": "circuit", "labels": False, "leaf_dropout": 0.2, "sum_dropout": 0.1, "units": 3}
    read = upgraded({"format": FORMAT, "config": {"model": model, "seed": 0}})
    assert read == {"format": FORMAT, "config": {"model": {**model, "leaf_dropout": 0, "sum_dropout": 0}, "seed": 0}}
    labelled = {"format": FORMAT, "config": {"model": {**model, "labels": True}}}
    assert upgraded(labelled) == labelled


@pytest.mark.parametrize("name", ["importance_weighted", "renyi"])
def test_free_bits_of_bounds_over_several_samples_are_read_as_what_they_did(name):
    """Nothing; such bounds have the key no more, and a run made before still loads."""
    config = Experiment.from_overrides(["dataset=synthetic", f"objective={name}"]).to_config()
    objective = config["algorithm"]["objective"]
    before = {**config, "algorithm": {**config["algorithm"], "objective": {**objective, "free_bits": 0.0}}}
    assert upgraded({"format": FORMAT, "config": before}) == {"format": FORMAT, "config": config}
    # Choices were words by themselves once, and that of a free energy is its own.
    words = {"objective": {"name": name, "num_samples": 3}, "algorithm": {"name": "gradient_ascent"}}
    older = {**words, "objective": {**words["objective"], "free_bits": 0.0}}
    assert upgraded({"config": older})["config"] == words
    own = {"algorithm": {"name": "gradient_ascent", "objective": {"name": "free_energy", "free_bits": 0.5}}}
    assert upgraded({"format": FORMAT, "config": own})["config"] == own


def test_a_wide_seed_of_the_evaluation_is_read_as_what_it_drew():
    before = {"model": {"name": "nade"}, "evaluation": {"seed": 2**32 + 5, "num_samples": 7}}
    read = upgraded({"format": FORMAT, "config": before})["config"]
    assert read == before | {"evaluation": {"seed": 5, "num_samples": 7}}
    wide, drawn = (jax.random.key_data(jax.random.key(seed)) for seed in (2**32 + 5, 5))
    np.testing.assert_array_equal(wide, drawn)
