"""Figures as files: on any ground, as vectors too."""

import matplotlib
import numpy as np
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine
from PIL import Image
from support.panels import grid_within, words_around

from sbvi.reporting.curves import save_curves, shown_range
from sbvi.reporting.figures import COLOURS, INK, new_figure, save_figure, save_panel
from sbvi.reporting.images import grid

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
    save_curves(tmp_path / "figures" / "curves.png", lines, ["train/elbo", "validation/elbo"])
    assert (tmp_path / "figures" / "curves.pdf").read_bytes().startswith(b"%PDF")
    with Image.open(tmp_path / "figures" / "curves.png") as picture:
        assert picture.mode == "RGBA"
        assert np.asarray(picture)[0, 0, 3] == 0
        colours = {tuple(pixel[:3]) for pixel in np.asarray(picture).reshape(-1, 4) if pixel[3] == 255}
    for colour in COLOURS[:2]:  # a line, and a point by itself
        assert tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5)) in colours


@pytest.mark.parametrize(
    ("count", "side", "colours", "times"), [(20, 4, (), 2), (100, 28, (), 2), (10, 5, (3,), 2), (200, 28, (), 1)]
)
def test_a_panel_shows_pixels_as_whole_ones(count, side, colours, times, tmp_path):
    """With its title, and the names of its first rows at the left."""
    columns = 20 if count == 200 else 10
    picture = grid(np.random.default_rng(0).random((count, side, side, *colours)), columns)
    places = [tmp_path / "new" / f"a{suffix}" for suffix in (".png", ".pdf")]
    save_panel(picture, "samples", ["data", "reconstruction"], *places)
    whole = picture.repeat(times, 0).repeat(times, 1)
    found = grid_within(places[0])
    np.testing.assert_array_equal(found, whole if colours else np.repeat(whole[..., None], 3, -1))
    assert min(words_around(places[0])) > 200
    again = [tmp_path / f"b{suffix}" for suffix in (".png", ".pdf")]
    save_panel(picture, "", [], *again)
    assert words_around(again[0]) == (0, 0)
    save_panel(picture, "samples", ["data", "reconstruction"], *again)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in places]  # no date in it


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
