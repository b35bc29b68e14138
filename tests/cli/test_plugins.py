"""Packages of others: the example is installed and used as its reader would; mistakes are told in a sentence."""

import importlib
import json
import signal
import subprocess
import sys
import time
import zlib

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from support.paths import ROOT
from support.processes import command, environment
from support.small_run import experiment, train

from sbvi.cli.catalogue import check
from sbvi.cli.help import help_text
from sbvi.cli.train import COMMAND
from sbvi.core import UserError, build, plugins
from sbvi.core.catalogue import catalogue
from sbvi.core.config_names import packages
from sbvi.core.configs import config_folder
from sbvi.core.plugins import config_folders, extend
from sbvi.data import SPEC_PARTS as DATASET_PARTS
from sbvi.distributions.likelihoods import LIKELIHOODS
from sbvi.distributions.priors.prior import SPEC_PARTS
from sbvi.runs import Experiment

#: Milliseconds of CPU time that reading all entry points may add to a start.
MOST_MILLISECONDS = 30


def fresh_environment(folder):
    """Of processes for which what lies in a folder is installed."""
    return environment(PYTHONPATH=f"{ROOT}:{folder}")


def package(folder, name, entries, modules):
    """Lay out a package as pip would have installed it: entry points by group, and files by path."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    groups = [f"[{group}]\n" + "\n".join(lines) for group, lines in entries.items()]
    (about / "entry_points.txt").write_text("\n\n".join(groups) + "\n")
    for path, content in modules.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Lays packages out, seen by this process during one test."""
    monkeypatch.syspath_prepend(tmp_path)
    plugins._entries.cache_clear()

    def lay_out(name, entries, modules):
        package(tmp_path, name, entries, modules)
        importlib.invalidate_caches()
        plugins._entries.cache_clear()
        return tmp_path

    yield lay_out
    plugins._entries.cache_clear()


def install(source, target):
    """By uv, which takes a sixth of pip's time, or by pip where uv is not there or finds no index, as
    scripts/environment does. Either builds it with what the package index has: without an index this fails."""
    options = ["--quiet", "--no-deps", "--target", target, source]
    env = environment(UV_HTTP_RETRIES="1")
    for words in (["uv", "pip", "install", "--python", sys.executable], ["pip", "install"]):
        words = [sys.executable, "-m", *words, *options]
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=300)
        if done.returncode == 0:
            return
    raise AssertionError(done.stderr)


def test_the_example_trains_and_evaluates_once_installed(tmp_path, monkeypatch):
    target, run = tmp_path / "packages", tmp_path / "run"
    install(ROOT / "examples" / "plugin", target)
    env = fresh_environment(target)
    words = ["dataset=synthetic", "dataset.observation=gaussian", "likelihood=laplace", "likelihood.scale=0.3"]
    small = ["model.latents=[3]", "model.hidden=[4]", "model.recognition_hidden=[4]", "dataset.dimensions=6"]
    short = ["trainer.steps=4", "trainer.batch_size=20", "evaluation.num_samples=5", f"hydra.run.dir={run}"]
    trained = command("train", *words, *small, *short, cwd=tmp_path, env=env, fresh=True)
    assert trained.returncode == 0, trained.stderr
    likelihood = json.loads((run / "run.json").read_text())["config"]["model"]["likelihood"]
    assert likelihood == {"name": "laplace", "scale": 0.3}
    nll = json.loads((run / "result.json").read_text())["metrics"]["test/nll"]
    assert np.isfinite(nll)
    task = ["task=likelihood", "task.num_samples=5"]
    evaluated = command("evaluate", f"run={run}", *task, cwd=tmp_path, env=env, fresh=True)
    assert evaluated.returncode == 0, evaluated.stderr
    (path,) = (run / "evaluations").glob("likelihood-test-*.json")
    again = json.loads(path.read_text())["metrics"]["test/nll"]
    np.testing.assert_allclose(again, nll, rtol=1e-4)
    # Its density is SciPy's.
    monkeypatch.syspath_prepend(target)
    likelihood = importlib.import_module("sbvi_laplace.likelihood").Laplace(scale=0.3)
    generator = np.random.default_rng(0)
    outputs, x = generator.normal(size=(2, 3, 4)), generator.normal(size=(3, 4))
    found = likelihood.log_prob(jnp.asarray(outputs, jnp.float32), jnp.zeros(0), jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, stats.laplace(outputs, 0.3).logpdf(x).sum(-1), rtol=1e-5)


SPEC = 'from sbvi.core import spec\n@spec\nclass Mine:\n    """Mine."""\n'


def test_a_name_that_is_taken_is_refused_in_a_sentence(tmp_path):
    package(tmp_path, "clashing", {"sbvi.likelihoods": ["bernoulli = clashing:Mine"]}, {"clashing.py": SPEC})
    done = command("train", f"hydra.run.dir={tmp_path}/run", cwd=tmp_path, env=fresh_environment(tmp_path), fresh=True)
    assert done.returncode == 1
    assert done.stderr == (
        "The installed package clashing adds sbvi.likelihoods bernoulli, a name that is taken already.\n"
    )


@pytest.mark.quick
def test_what_a_package_adds_stands_in_the_registry(installed):
    installed("adding", {"sbvi.tasks": ["mine = adding:Mine"]}, {"adding.py": SPEC})
    registry = {}
    extend(registry, "sbvi.tasks")
    assert [(name, kind.__name__) for name, kind in registry.items()] == [("mine", "Mine")]
    extend(untouched := {}, "sbvi.models")
    assert not untouched


ROOM = "from sbvi.core.plugins import extend\nADDED = {{}}\nextend(ADDED, 'sbvi.{}')\n"
TWO = "import a_room_of_likelihoods, a_room_of_loggers\n" + SPEC + SPEC.replace("Mine", "Other")


@pytest.mark.quick
@pytest.mark.parametrize("first", ["a_room_of_likelihoods", "a_room_of_loggers", "two_in_one"])
def test_one_module_may_add_to_two_groups(first, installed, monkeypatch):
    """Whichever is imported first; each room imports the module, which imports the room of the other."""
    entries = {"sbvi.likelihoods": ["mine = two_in_one:Mine"], "sbvi.loggers": ["other = two_in_one:Other"]}
    rooms = {f"a_room_of_{group}": ROOM.format(group) for group in ("likelihoods", "loggers")}
    modules = {"two_in_one": TWO, **rooms}
    for name in modules:
        monkeypatch.delitem(sys.modules, name, raising=False)
    installed("two-in-one", entries, {f"{name}.py": content for name, content in modules.items()})
    importlib.import_module(first)
    with pytest.raises(UserError, match="nothing is not known"):  # by then all that waits is added
        build({}, "likelihood", {"name": "nothing"})
    added = [[kind.__name__ for kind in sys.modules[room].ADDED.values()] for room in rooms]
    assert added == [["Mine"], ["Other"]]
    assert plugins._waiting == []
    for name in modules:
        del sys.modules[name]


@pytest.mark.quick
def test_a_mistake_elsewhere_does_not_wait_for_a_package(installed):
    """Help and the first check read the added entry when its group is asked for; other groups' mistakes come first."""
    task = SPEC + '    title = "mine"\n    def run(self, run): ...\n'
    installed("adding", {"sbvi.tasks": ["mine = adding_task:Mine"]}, {"adding_task.py": task})
    catalogue.cache_clear()
    try:
        wrong = {"task": {"name": "mine"}, "trainer": {"step": 3}}
        with pytest.raises(UserError, match=r"trainer.step=3 is not a key"):
            check(wrong, ("task", "trainer"), ())
        assert "adding_task" not in sys.modules
        with pytest.raises(UserError, match=r"task.name=mnie is not known \(did you mean mine\?\)"):
            check({"task": {"name": "mnie"}}, ("task",), ())
        check({"task": {"name": "mine"}}, ("task",), ())
        assert ["mine" in catalogue()[group] for group in ("task", "model")] == [True, False]
    finally:
        catalogue.cache_clear()


@pytest.mark.quick
def test_what_a_registry_asks_of_a_spec_is_named(installed):
    more = SPEC + "    analytic_kl = False\n"
    installed("half", {"sbvi.priors": ["mine = half:Mine"]}, {"half.py": more})
    said = "half adds sbvi.priors mine, and half:Mine lacks gaussian_posterior, build"
    with pytest.raises(UserError, match=said):
        extend({}, "sbvi.priors", SPEC_PARTS)
    extend(taken := {}, "sbvi.priors", ["analytic_kl"])
    assert list(taken) == ["mine"]


WHAT_IS_LEFT_OUT = """
from sbvi.core import spec
from sbvi.models.spec import ModelSpec
@spec
class Data:
    binarization: str
    split_seed: int = 0
    likelihood = "gaussian"
    def load(self): ...
@spec
class Model(ModelSpec):
    builds = object
    binary = True
"""


@pytest.mark.quick
def test_a_part_may_be_a_setting_and_what_is_abstract_is_none(installed):
    entries = {"sbvi.datasets": ["mine = left_out:Data"], "sbvi.models": ["mine = left_out:Model"]}
    installed("left-out", entries, {"left_out.py": WHAT_IS_LEFT_OUT})
    with pytest.raises(UserError, match=r"adds sbvi.datasets mine, and left_out:Data lacks stream\.$"):
        extend({}, "sbvi.datasets", DATASET_PARTS)
    with pytest.raises(UserError, match=r"adds sbvi.models mine, and left_out:Model lacks build\.$"):
        extend({}, "sbvi.models", ["builds", "binary", "build"])


@pytest.mark.quick
def test_two_packages_cannot_add_one_name(installed):
    installed("first", {"sbvi.tasks": ["mine = first:Mine"]}, {"first.py": SPEC})
    installed("second", {"sbvi.tasks": ["mine = second:Mine"]}, {"second.py": SPEC})
    with pytest.raises(UserError, match=r"(first|second) adds sbvi.tasks mine, a name that is taken already"):
        extend({}, "sbvi.tasks")


@pytest.mark.quick
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("import a_module_that_is_nowhere", r"cannot be imported \(ModuleNotFoundError: No module named"),
        ("class Other: ...", r"cannot be imported \(AttributeError: "),
        ("raise OSError", r"cannot be imported \(OSError\)"),
        ("raise SystemExit(0)", r"cannot be imported \(SystemExit: 0\)"),
        ("def Mine(): ...", "is no class made with sbvi.core.spec"),
    ],
)
def test_a_broken_package_is_named(installed, content, said):
    module = f"broken_{zlib.crc32(content.encode())}"
    installed("broken-one", {"sbvi.models": [f"mine = {module}:Mine"]}, {f"{module}.py": content})
    sentence = rf"^The installed package broken-one adds sbvi.models mine, and {module}:Mine {said}"
    with pytest.raises(UserError, match=sentence):
        extend({}, "sbvi.models")


FAULTY = """
from sbvi.core import UserError, spec
from sbvi_laplace_alike import Laplace
def raised(error):
    raise error
def boom():
    raised(RuntimeError("boom"))
@spec
class Faulty(Laplace):
    fault: str = "none"
    def check(self, levels):
        if self.fault == "check":
            boom()
        if self.fault == "refused":
            raise UserError("The data is of another kind.")
    def log_prob(self, outputs, free, x):
        if self.fault == "large" and len(x) > 3:
            boom()
        return super().log_prob(outputs, free, x)
"""


@pytest.fixture
def faulty(installed, monkeypatch):
    """The example's likelihood, which fails where its setting says."""
    example = (ROOT / "examples" / "plugin" / "src" / "sbvi_laplace" / "likelihood.py").read_text()
    modules = {"faulty_one.py": FAULTY, "sbvi_laplace_alike.py": example}
    installed("faulty-one", {"sbvi.likelihoods": ["faulty = faulty_one:Faulty"]}, modules)
    extend(added := {}, "sbvi.likelihoods")
    monkeypatch.setitem(LIKELIHOODS, "faulty", added["faulty"])
    return added["faulty"]


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("check", "Faulty.check of the installed package faulty-one fails (RuntimeError: boom)."),
        ("refused", "The data is of another kind."),
        ("large", "Faulty.log_prob of the installed package faulty-one fails (RuntimeError: boom)."),
    ],
)
def test_what_a_package_raises_in_a_run_is_told_in_a_sentence(fault, sentence, tmp_path):
    """Also where it fails at the run's own batches alone, and not on the few rows on which a likelihood is tried."""
    made = experiment(dataset={"observation": "gaussian"}, likelihood={"name": "faulty", "fault": fault})
    with pytest.raises(UserError) as told:
        train(made, tmp_path / "run")
    assert str(told.value) == sentence
    if fault == "large":
        assert json.loads((tmp_path / "run" / "result.json").read_text())["reason"] == sentence
    else:
        assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]


@pytest.mark.quick
def test_errors_that_are_not_a_package_s_stay_as_they_are(faulty):
    with pytest.raises(ZeroDivisionError), plugins.telling():
        faulty().check(1 / 0)
    raised = sys.modules["faulty_one"].raised
    interrupted = RuntimeError("CpuCallback error\nKeyboardInterrupt:")  # as JAX hands a signal on
    for error in (FloatingPointError("nan"), interrupted):
        with pytest.raises(type(error)), plugins.telling():
            raised(error)
    said = r"^raised of the installed package faulty-one fails \(OSError: no\)\.$"
    with pytest.raises(UserError, match=said), plugins.telling():
        raised(OSError("no."))


@pytest.mark.quick
@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize(("error", "said"), [(SystemExit(0), "SystemExit: 0"), (GeneratorExit(), "GeneratorExit")])
def test_what_is_no_exception_is_a_package_s_fault_all_the_same(error, said):
    """Else `sys.exit` in its code would end a command with exit code 0."""
    raised = sys.modules["faulty_one"].raised
    sentence = rf"^raised of the installed package faulty-one fails \({said}\)\.$"
    with pytest.raises(UserError, match=sentence), plugins.telling():
        raised(error)


@pytest.mark.quick
@pytest.mark.usefixtures("faulty")
def test_what_a_signal_raises_is_no_package_s_fault(monkeypatch):
    raised = sys.modules["faulty_one"].raised
    with pytest.raises(KeyboardInterrupt), plugins.telling():
        raised(KeyboardInterrupt())
    monkeypatch.setattr(sys.modules["faulty_one"], "raised", lambda _: signal.raise_signal(signal.SIGUSR1))
    before = signal.signal(signal.SIGUSR1, lambda *_: sys.exit(3))  # as a caller may have it
    try:
        with pytest.raises(SystemExit), plugins.telling():
            sys.modules["faulty_one"].boom()
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.quick
def test_a_group_of_entry_points_that_there_is_none_of_is_warned_of_once(installed, caplog):
    mine = ["mine = misspelt:Mine"]
    entries = {"sbvi.likelihood": mine, "sbvi.tasks": mine, "sbvinet": ["a = b"]}
    installed("misspelt-one", entries, {"misspelt.py": SPEC})
    installed("other-one", {"sbvi.networks": mine}, {})
    for group in ("sbvi.tasks", "sbvi.models"):
        extend({}, group)
    first, second = (record.getMessage() for record in caplog.records)
    assert first.startswith(
        "The installed package misspelt-one adds to sbvi.likelihood, which is no group of entry points (did you mean "
        "sbvi.likelihoods?), so that nothing of it is found; allowed: sbvi.algorithms, sbvi.configs, sbvi.datasets, "
    )
    assert "The installed package other-one adds to sbvi.networks, which is no group" in second


@pytest.mark.quick
def test_help_on_a_file_says_whose_entry_it_sets(tmp_path):
    """Of another name than its own, or of a package that is not installed."""
    (tmp_path / "likelihood").mkdir()
    for name, content in {"cauchy": "name: cauchy\nscale: 1.0", "tails": "# Mine.\nname: 'student_t'"}.items():
        (tmp_path / "likelihood" / f"{name}.yaml").write_text(content + "\n")
    told = [
        " ".join(help_text(COMMAND, [f"--config-dir={tmp_path}", f"likelihood={name}"]).split())
        for name in ("cauchy", "tails", "bernoulli")
    ]
    file = tmp_path / "likelihood" / "cauchy.yaml"
    missing = f"It cannot be chosen: {file} names cauchy, which no installed package adds under sbvi.likelihoods."
    assert [missing in text for text in told] == [True, False, False]
    assert told[1].startswith("likelihood=tails: Mine. likelihood.")
    assert ["It has no keys." in text for text in told] == [False, False, True]


@pytest.mark.quick
@pytest.mark.parametrize(
    ("where", "said"),
    [(("dataset",), "dataset.name=mine"), (("model", "likelihood"), "likelihood.name=mine")],
)
def test_a_run_of_a_package_that_is_not_here_says_so(where, said):
    part = config = experiment().to_config()
    for key in where:
        part = part[key]
    part["name"] = "mine"
    with pytest.raises(UserError, match=rf"^{said} is not known.*; the run was made with a plug-in that is not inst"):
        Experiment.from_config(config, recorded=True)
    with pytest.raises(UserError, match=rf"^{said} is not known.*; allowed: [\w, ]+\.$"):
        Experiment.from_config(config)


@pytest.mark.quick
def test_config_folders_are_found_without_importing_the_package(installed):
    modules = {"with_files/__init__.py": "raise OSError", "with_files/configs/model/mine.yaml": "name: mine"}
    folder = installed("with-files", {"sbvi.configs": ["mine = with_files.configs"]}, modules)
    assert list(config_folders()) == [("with-files", folder / "with_files" / "configs")]
    installed("without-files", {"sbvi.configs": ["mine = with_files.other"]}, {})
    with pytest.raises(UserError, match=r"^The installed package without-files names with_files.other under"):
        list(config_folders())


@pytest.mark.quick
def test_a_config_file_of_a_package_whose_name_is_taken(installed):
    same = (config_folder() / "model" / "nade.yaml").read_text()
    modules = {"one/__init__.py": "", "one/configs/model/mine.yaml": "name: mine", "one/configs/model/nade.yaml": same}
    folder = installed("one", {"sbvi.configs": ["one = one.configs"]}, modules)
    assert packages() == [("one", folder / "one" / "configs")]
    modules = {"two/__init__.py": "", "two/configs/model/dlgm.yaml": "name: mine"}
    installed("two", {"sbvi.configs": ["two = two.configs"]}, modules)
    with pytest.raises(UserError, match=r"^The installed package two adds .* model/dlgm.yaml, a name .* by sbvi\.$"):
        packages()
    (folder / "two" / "configs" / "model" / "dlgm.yaml").rename(folder / "two" / "configs" / "model" / "mine.yaml")
    with (folder / "two" / "configs" / "model" / "mine.yaml").open("a") as file:
        file.write("\nlayers: 3\n")
    with pytest.raises(UserError, match=r"adds the config file model/mine.yaml, a name that is taken already by \w+"):
        packages()


@pytest.mark.quick
def test_reading_entry_points_takes_little_of_a_start():
    """The least of a few times, in CPU time: the machine may be busy."""
    times = []
    for _ in range(5):
        plugins._entries.cache_clear()
        began = time.process_time()
        extend({}, "sbvi.models")
        list(config_folders())
        times.append(1000 * (time.process_time() - began))
    assert min(times) < MOST_MILLISECONDS
