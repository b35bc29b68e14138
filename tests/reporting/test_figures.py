"""Figures as files: on any ground, as vectors too."""

import builtins
import errno

import matplotlib
import numpy as np
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine
from PIL import Image
from support.panels import grid_within, words_around

from sbvi.core import UserError
from sbvi.reporting.curves import save_curves, shown_range
from sbvi.reporting.figures import COLOURS, INK, new_figure, save_figure
from sbvi.reporting.images import grid, save_gif, save_png
from sbvi.reporting.panels import Panel, save_panel

pytestmark = pytest.mark.quick


def luminance(colour):
    """Relative luminance (WCAG 2)."""
    parts = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_the_palette_stands_out_on_white_and_on_dark_grounds():
    for colour in (*COLOURS, INK):
        for ground in ("#ffffff", "#1e1e1e"):
            low, high = sorted((luminance(colour), luminance(ground)))
            assert (high + 0.05) / (low + 0.05) > 2, (colour, ground)
    assert len(set(COLOURS)) == len(COLOURS)


def test_curves_show_the_end_of_training(tmp_path):
    lines = [{"step": step, "train/elbo": -100.0 - 10_000 / step} for step in range(1, 1001)]
    lines[-1]["validation/elbo"] = -111.0
    low, high = shown_range([np.array([(line["step"], line["train/elbo"]) for line in lines])])
    assert -201 - 10 < low < -200
    assert -110 < high < -100
    assert shown_range([]) is None
    assert shown_range([np.array([(1.0, np.nan)])]) is None
    save_curves(tmp_path / "figures" / "curves.png", lines, "elbo", 700)
    assert (tmp_path / "figures" / "curves.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "figures" / "curves.png") as picture:
        assert picture.mode == "RGBA"
        assert np.asarray(picture)[0, 0, 3] == 0
        colours = {tuple(pixel[:3]) for pixel in np.asarray(picture).reshape(-1, 4) if pixel[3] == 255}
    for colour in COLOURS[:3]:  # a line, a point by itself, and the step whose parameters were chosen
        assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in colours


def test_curves_tell_what_they_show(tmp_path, monkeypatch):
    """An exact likelihood is no bound, and what is kept may be of no single step."""
    said = []

    def note(figure, *paths):
        (axes,) = figure.get_axes()
        said.append((axes.get_ylabel(), [text.get_text() for text in axes.get_legend().get_texts()]))

    monkeypatch.setattr("sbvi.reporting.curves.save_figure", note)
    lines = [{"step": step, "train/log_likelihood": -step, "train/elbo": -step} for step in (1500, 3000)]
    save_curves(tmp_path / "curves.png", lines, "log_likelihood", None)
    save_curves(tmp_path / "curves.png", lines, "elbo", 1500)
    assert said == [
        ("log likelihood, nats per example", ["train/log_likelihood"]),
        ("bound, nats per example", ["train/elbo", "chosen parameters: step 1,500"]),
    ]


@pytest.mark.parametrize(
    ("count", "side", "colours", "times"), [(20, 4, (), 2), (100, 28, (), 2), (10, 5, (3,), 2), (200, 28, (), 1)]
)
def test_a_panel_shows_pixels_as_whole_ones(count, side, colours, times, tmp_path):
    """With its title, and the names of its first rows at the left."""
    columns = 20 if count == 200 else 10
    picture = grid(np.random.default_rng(0).random((count, side, side, *colours)), columns)
    places = [tmp_path / "new" / f"a{suffix}" for suffix in (".png", ".pdf")]
    rows = ("data", "reconstruction", *[""] * (-(-count // columns) - 2))
    panel = Panel(picture, "samples", rows, ("truth", *map(str, range(2, columns + 1))))
    save_panel(panel, *places)
    whole = picture.repeat(times, 0).repeat(times, 1)
    found = grid_within(places[0])
    np.testing.assert_array_equal(found, whole if colours else np.repeat(whole[..., None], 3, -1))
    assert min(words_around(places[0])) > 200
    again = [tmp_path / f"b{suffix}" for suffix in (".png", ".pdf")]
    save_panel(Panel(picture), *again)
    assert words_around(again[0]) == (0, 0)
    save_panel(panel, *again)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in places]  # no date in it


def middles(there):
    """Of runs of true places."""
    ends = np.flatnonzero(np.diff(np.pad(there.astype(int), 1)))
    return ends.reshape(-1, 2).mean(1)


def test_the_words_of_a_panel_stand_at_what_they_name_and_none_is_cut(tmp_path):
    """However many rows and columns there are, and however long its title is."""
    save_panel(Panel(grid(np.zeros((12, 4, 4)), 3), "m" * 90, ("I", "", "", "I"), ("I", "", "I")), tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as file:
        alpha = np.asarray(file)[..., 3]
    opaque = alpha == 255
    rows, columns = (np.flatnonzero(opaque.mean(axis) > 0.4) for axis in (1, 0))
    left, top, right = columns[0], rows[0], columns[-1]
    high, wide = (rows[-1] + 1 - top) / 4, (right + 1 - left) / 3
    beside = (alpha[top:, :left] > 0).any(1)
    np.testing.assert_allclose(middles(beside), [high / 2, 3.5 * high], atol=0.05 * high)
    assert not (alpha[:, [0, -1]] > 0).any()  # the title, wider than the grid, ends within the picture
    above = [part for part in np.split(alpha[:top], np.flatnonzero(~(alpha[:top] > 0).any(1))) if (part > 0).any()]
    np.testing.assert_allclose(middles((above[-1][1:] > 0).any(0)) - left, [wide / 2, 2.5 * wide], atol=0.05 * wide)


@pytest.mark.parametrize("users_own", [False, True])
def test_a_figure_is_laid_out_once_for_all_its_files(users_own, tmp_path, monkeypatch):
    """Whatever layout a file of matplotlib's settings asks for."""
    monkeypatch.setitem(matplotlib.rcParams, "figure.autolayout", users_own)
    figure = new_figure()
    axes = figure.add_subplot()
    axes.set_ylabel("a label\nof\nfour\nlines")
    times = []
    for engine in (ConstrainedLayoutEngine, TightLayoutEngine):
        execute = engine.execute
        monkeypatch.setattr(engine, "execute", lambda *args, made=execute: times.append(type(args[0])) or made(*args))
    save_figure(figure, tmp_path / "a.png", tmp_path / "a.pdf")
    assert times == [ConstrainedLayoutEngine]
    assert axes.get_position().x0 > 0.14  # there is room for the label
    assert {path.name for path in tmp_path.iterdir()} == {"a.png", "a.pdf"}


@pytest.mark.parametrize("kind", [".png", ".pdf", "pixels.png", ".gif"])
def test_a_full_disk_leaves_an_earlier_picture_as_it_was(kind, tmp_path, monkeypatch):
    path = tmp_path / f"picture{kind}"
    path.write_bytes(b"earlier")
    frames, figure, opened = np.zeros((2, 4, 4), np.uint8), new_figure(), builtins.open
    figure.add_subplot()

    def full(file, mode="r", *args, **options):
        made = opened(file, mode, *args, **options)
        if "w" in mode and str(tmp_path) in str(file):
            made.close()
            raise OSError(errno.ENOSPC, "No space left on device")
        return made

    monkeypatch.setattr(builtins, "open", full)
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\); what was there .* untouched"):
        save_gif(path, frames) if kind == ".gif" else (
            save_png(path, frames[0]) if kind == "pixels.png" else save_figure(figure, path)
        )
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {path.name: b"earlier"}
