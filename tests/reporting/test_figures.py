"""Figures as files: on any ground, as vectors too."""

import matplotlib
import numpy as np
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine
from PIL import Image

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


def test_a_panel_is_a_page_with_its_title(tmp_path):
    picture = grid(np.random.default_rng(0).random((20, 4, 4)), 10)
    save_panel(tmp_path / "new" / "a.pdf", picture, "samples", ["data", "reconstruction"])
    again = tmp_path / "b.pdf"
    save_panel(again, picture, "samples", ["data", "reconstruction"])
    assert again.read_bytes() == (tmp_path / "new" / "a.pdf").read_bytes()  # no date in it


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
