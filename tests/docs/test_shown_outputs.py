"""What the pages on tables show is what their commands say, on the wines as a reader has them.

What follows from the table alone is the same everywhere. A model trained on so few rows is another on a processor that
rounds otherwise: its numbers are held tightly where the pages were measured, loosely elsewhere.
"""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from support.pages import _BLOCK, Code, named, own, steps
from support.processes import command

import sbvi
from sbvi.data.tabular.columns import encoded
from sbvi.evaluation.filling import drawing, fill

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
#: Whether this is a processor as that of the pages' numbers: XLA makes other programs for others.
_ALIKE = Path("/proc/cpuinfo").is_file() and "avx512f" in Path("/proc/cpuinfo").read_text()
#: How far a number shown may be from the one that is said: relatively, and shares of few entries absolutely.
_APART, _SHARE = (0.02, 0.02) if _ALIKE else (0.35, 0.15)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")


def wine_steps(page):
    """The block that writes the table, and the commands on it."""
    found = [step for step in steps(named(page)) if "wine" in str(step)]
    return next(s for s in found if isinstance(s, Code)), [own(s) for s in found if not isinstance(s, Code)]


def blocks(page, first):
    """Lines of the shown block that begins so."""
    return next(text.splitlines() for _, text in _BLOCK.findall(named(page).read_text()) if text.startswith(first))


def runs(page, folder, monkeypatch):
    """The lines that a page's commands on wines say, by command: the log's, and then what is printed."""
    monkeypatch.chdir(folder)
    (folder / "outputs").mkdir()
    code, lines = wine_steps(page)
    exec(compile(code.source, page, "exec"), {})
    said = []
    for name, *words in lines:
        done = command(name.removeprefix("sbvi-"), *words, cwd=folder, timeout=3600)
        assert done.returncode == 0, done.stderr
        said.append([*done.stderr.splitlines(), *done.stdout.splitlines()])
    return said


def alike(shown, said):
    """Whether texts are the same and numbers close: what has decimals, relatively or in its last digit."""
    assert _NUMBER.sub("#", " ".join(shown.split())) == _NUMBER.sub("#", " ".join(said.split()))
    for mine, theirs in zip(_NUMBER.findall(shown), _NUMBER.findall(said), strict=True):
        digit = 10.0 ** -len(mine.partition(".")[2])
        assert math.isclose(float(mine), float(theirs), rel_tol=_APART, abs_tol=1.01 * digit), (shown, said)


def filled_alike(page, before, after):
    """The first rows of two files: columns that a page leaves out are two points."""
    shown = [line.split(",") for line in blocks(page, "alcohol," if page == "walk.md" else "bottle,") if line]
    files = [Path(before).read_text().splitlines()[:3], Path(after).read_text().splitlines()[1:3]]
    for mine, theirs in zip(shown, [line.split(",") for lines in files for line in lines], strict=True):
        first, last = (mine.index(".."), len(mine) - mine.index("..") - 1) if ".." in mine else (len(mine), 0)
        kept = [*theirs[:first], *theirs[len(theirs) - last :]]
        for one, other in zip([cell for cell in mine if cell != ".."], kept, strict=True):
            alike(one, other)


def scores(lines):
    """A table of scores by row and column, cut where its dashes are."""
    head = next(place for place, line in enumerate(lines) if re.match("column +n ", line))
    spans = [dashes.span() for dashes in re.finditer("-+", lines[head + 1])]
    cut = [[line[start:end].strip() for start, end in spans] for line in lines[head:]]
    end = next(place for place, row in enumerate(cut) if row[0] == "all") + 1
    return pd.DataFrame(cut[2:end], columns=cut[0]).set_index("column"), lines[head + end : head + end + 2]


def test_the_walk_shows_what_it_says(tmp_path, monkeypatch):
    _, told = runs("walk.md", tmp_path, monkeypatch)
    assert any("Intervals are calibrated" in line for line in told)
    filled_alike("walk.md", "outputs/wine.csv", "outputs/filled.csv")


def test_the_page_of_tables_shows_what_it_says(tmp_path, monkeypatch):
    trained, filled, scored, _ = runs("tables.md", tmp_path, monkeypatch)
    kinds = blocks("tables.md", "column                   kind")
    start = trained.index(kinds[0])
    assert trained[start : start + len(kinds)] == kinds
    for line in blocks("tables.md", "test/nll:"):
        alike(line, next(said for said in trained if said.startswith(line.split()[0])))
    filled_alike("tables.md", "wine.csv", "filled.csv")
    text = " ".join(named("tables.md").read_text().split())
    shown = re.search(r"`(imputation/effective_samples: .*?)`", text)[1]
    alike(shown, next(line for line in filled if line.startswith("imputation/effective_samples")))

    shown, said = scores(blocks("tables.md", "column                          n")), scores(scored)
    assert list(shown[0].columns) == list(said[0].columns)
    assert list(shown[0].index) == list(said[0].index)
    for name, column in shown[0].items():
        exact = name in ("n", "rmse_of_means", "accuracy_of_modes")  # the table's own
        for mine, theirs in zip(column, said[0][name], strict=True):
            if mine == theirs or exact:
                assert mine == theirs, name
            elif name in ("coverage", "accuracy"):
                assert abs(float(mine) - float(theirs)) <= _SHARE, (name, mine, theirs)
            else:
                alike(mine, theirs)
    for mine, theirs in zip(shown[1], said[1], strict=True):
        alike(mine, theirs)

    entries, rows = re.search(r'"entries": (\d+), "rows": (\d+)', text).groups()
    (evaluation,) = tmp_path.glob("outputs/wine/evaluations/imputation-input-*.json")
    assert f'"entries": {entries},\n    "rows": {rows},' in evaluation.read_text()
    sentence = re.search(r"of the (\d+) gaps .*? cover (\S+) % .*? cover (\S+) %", text).groups()
    for mine, theirs in zip(sentence, covered(), strict=True):
        assert abs(float(mine) - theirs) <= 100 * _SHARE, (sentence, covered())


def covered():
    """Gaps of calibrated columns, and how many in a hundred the files' bounds and the draws' quantiles cover."""
    truth, gaps = load_wine(as_frame=True).data, pd.read_csv("wine.csv")
    bounds = [pd.read_csv(f"filled.{end}.csv") for end in ("lower", "upper")]
    run = sbvi.load_run("outputs/wine")
    columns = run.preprocessing.table
    held = run.preprocessing.store(encoded(columns, gaps, "wine.csv"), "wine.csv")
    drawn = fill(drawing(run.model, 2000, 500), run.params, run.preprocessing, held, 0)
    inside = []
    for d, column in enumerate(columns):
        if column.standardised:
            missing = gaps[column.name].isna().to_numpy()
            true = truth[column.name].to_numpy()[missing]
            pairs = [[b[column.name].to_numpy() for b in bounds], [drawn.lower[:, d], drawn.upper[:, d]]]
            inside.append([(low[missing] <= true) & (true <= high[missing]) for low, high in pairs])
    calibrated, quantiles = (np.concatenate(part) for part in zip(*inside, strict=True))
    return len(calibrated), 100 * calibrated.mean(), 100 * quantiles.mean()
