"""What a task gives is taken, or refused in a sentence before anything is written."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sbvi.core import UserError, spec
from sbvi.reporting.figures import new_figure
from sbvi.reporting.panels import Panel
from sbvi.tasks import TaskResult
from sbvi.tasks.checked import checked, title_of
from sbvi.tasks.task import Projection

pytestmark = pytest.mark.quick

PIXELS = np.zeros((3, 4), np.uint8)


@spec
class Mine:
    """A task."""

    title = "mine"

    def run(self, run): ...


def failing():
    figure = new_figure(1, 1)
    figure.suptitle("$\\nonsense{$")
    return figure


def test_arrays_of_no_axes_are_numbers():
    given = {"a": np.float32(1.5), "b": jnp.ones(()), "c": np.int64(4), "d": 5, "e": jnp.ones((), jnp.bfloat16)}
    result = checked(TaskResult(given, {"x": jnp.ones(3)}, {"p": jnp.asarray(PIXELS)}), Mine())
    assert result.scalars == {"a": 1.5, "b": 1.0, "c": 4.0, "d": 5.0, "e": 1.0}
    assert {type(value) for value in result.scalars.values()} == {float}
    assert [type(value) for value in (result.arrays["x"], result.pictures["p"])] == [np.ndarray] * 2


def test_what_can_be_drawn_is_taken_as_it_is():
    figure = new_figure(2, 2)
    figure.subplots()
    pictures = {"a": PIXELS, "b": Panel(PIXELS, "title"), "c": figure}
    points = Projection(np.zeros((5, 2)), np.arange(5), np.zeros((5, 2, 3, 1)), "z")
    given = TaskResult(
        {}, {}, pictures, "table", {"n": [1, {"a": None}]}, points, {"m": np.stack([PIXELS] * 2)}, ("a",)
    )
    result = checked(given, Mine())
    words = np.array(["a", "b"], object)  # as a frame's column has them
    shown = Projection(jnp.ones((2, 2), jnp.bfloat16), words, None, "z")
    pictures = {"four": np.zeros((3, 4, 4), np.uint8), "bits": PIXELS > 0}
    more = checked(TaskResult({"n": 10**30}, {}, pictures, projection=shown), Mine())
    assert more.scalars == {"n": 1e30}
    assert more.pictures["bits"].dtype == np.uint8
    assert result.pictures["c"] is figure
    assert result.projection is points
    assert (result.about, result.beside) == (given.about, given.beside)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "None; allowed: a sbvi.tasks.TaskResult"),
        ({"a": 1.0}, "{'a': 1.0}; allowed: a sbvi.tasks.TaskResult"),
        (TaskResult([1.0], {}), "[1.0] as scalars; allowed: a dict by names"),
        (TaskResult({3: 1.0}, {}), "3 as a name of scalars; allowed: texts"),
        (TaskResult({"a": "1.5"}, {}), "'1.5' as scalars['a']; allowed: a real number"),
        (TaskResult({"a": 1j}, {}), "1j as scalars['a']; allowed: a real number"),
        (TaskResult({"a": None}, {}), "None as scalars['a']; allowed: a real number"),
        (TaskResult({"a": np.ones(1)}, {}), "array([1.]) as scalars['a']; allowed: a real number"),
        (TaskResult({}, {"x": np.array([None])}), "array([None], dtype=object) as arrays['x']; allowed: an array of"),
        (TaskResult({}, {"x": [[1], [2, 3]]}), "[[1], [2, 3]] as arrays['x']; allowed: an array of"),
        (TaskResult({}, {"file": PIXELS}), "'file' as a name of arrays; allowed: texts other than file, allow_pickle"),
        (TaskResult({}, {}, about={"s": {1}}), "{1} as about['s']; allowed: what JSON holds"),
        (TaskResult({}, {}, about={"s": [np.nan]}), "[nan] as about['s']; allowed: what JSON holds"),
        (TaskResult({}, {}, about={"task": 1}), "'task' as a name of about; allowed: texts other than task, command"),
        (TaskResult({}, {}, {"p/../q": PIXELS}), "'p/../q' as a name of pictures; allowed: texts that can begin a"),
        (TaskResult({}, {}, {"p": np.zeros(3)}), "an array of shape (3,) and dtype float64 as pictures['p']; allowed:"),
        (TaskResult({}, {}, {"p": Panel(PIXELS[:0])}), "an array of shape (0, 4) and dtype uint8 as pictures['p']"),
        (TaskResult({}, {}, {"p": "a.png"}), "'a.png' as pictures['p']; allowed: pixels"),
        (TaskResult({}, {}, {"p": failing()}), "pictures['p'], which cannot be drawn (ValueError: "),
        (TaskResult({}, {}, animations={"m": PIXELS}), "an array of shape (3, 4) and dtype uint8 as animations['m']"),
        (TaskResult({}, {}, table=3), "3 as table; allowed: a text"),
        (TaskResult({}, {}, beside="a.csv"), "'a.csv' as beside; allowed: paths of files"),
        (TaskResult({}, {}, projection=[1]), "[1] as projection; allowed: a Projection of points"),
        (
            TaskResult({}, {}, projection=Projection(np.ones((5, 2)), np.ones(4), None, "z")),
            "parts of (5, 2) float64, (4,) float64 as projection; allowed: a Projection of points",
        ),
    ],
)
def test_what_nothing_can_be_made_of_is_named(given, said):
    with pytest.raises(UserError) as caught:
        checked(given, Mine())
    assert str(caught.value).startswith(f"Mine.run gives {said}")
    assert str(caught.value).endswith(".")


def test_a_value_of_a_compiled_function_is_named():
    kept = []
    jax.jit(lambda x: kept.append(x))(jnp.ones(()))
    with pytest.raises(UserError, match=r"^Mine\.run gives .*Tracer.* as scalars\['a'\]; allowed: a real number\.$"):
        checked(TaskResult({"a": kept[0]}, {}), Mine())


@pytest.mark.parametrize("title", [5, "", "..", "a/b", "a\nb", None])
def test_a_title_begins_a_file_s_name(title, monkeypatch):
    assert title_of(Mine()) == "mine"
    monkeypatch.setattr(Mine, "title", title)
    with pytest.raises(UserError) as caught:
        title_of(Mine())
    assert str(caught.value) == f"Mine.title gives {title!r}; allowed: a text that can begin a file's name."
