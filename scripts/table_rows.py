#!/usr/bin/env python3
"""Fills gaps of real tables by `sbvi.sklearn.Imputer` and by scikit-learn's imputers, and renders docs/table_rows.md.

    scripts/table_rows.py                              every table, 50 % removed, seed 0; goes on with what is missing
    scripts/table_rows.py concrete wine_red            some of them
    scripts/table_rows.py --fractions 0.2,0.5,0.8 --seeds 0,1,2,3,4
    scripts/table_rows.py --time                       5,000 x 20 with a fifth missing, seconds alone
    scripts/table_rows.py --render                     the page alone

Tables are those of $SBVI_DATA_DIR/uci_regression and gain, and scikit-learn's own. Entries are removed at random; every
number of a column is standardised by all of it, and categories are known as such to every method. Each result is
docs/results/tables/TABLE-PERCENT-SEED-METHOD.json.
"""

import argparse
import gzip
import json
import os
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sbvi.core.atomic import write_atomically

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "docs" / "results" / "tables"
PAGE = ROOT / "docs" / "table_rows.md"
TIMED = KEPT / "time.json"
MOST = 2000  # rows of a table, evenly spaced: enough to tell methods apart


def folder() -> Path:
    return Path(os.environ.get("SBVI_DATA_DIR", ROOT / "data"))


def numbers(name: str, delimiter: str | None = None) -> Callable[[], pd.DataFrame]:
    def read() -> pd.DataFrame:
        with gzip.open(folder() / "uci_regression" / name, "rt") as file:
            return pd.DataFrame(np.loadtxt(file, delimiter=delimiter)).rename(columns=str)

    return read


def boston() -> pd.DataFrame:
    frame = numbers("bostonHousing.data.txt.gz")()
    return frame.assign(**{"3": frame["3"].map({0.0: "no", 1.0: "yes"})})  # whether it lies at the river


def white() -> pd.DataFrame:
    return pd.read_csv(folder() / "uci_regression" / "winequality-white.csv.gz", sep=";").astype(float)


def spam() -> pd.DataFrame:
    return pd.read_csv(folder() / "gain" / "spam.csv.gz").astype(float)


def bundled(name: str) -> Callable[[], pd.DataFrame]:
    """A table of scikit-learn's, with its classes as a column of text."""

    def read() -> pd.DataFrame:
        import sklearn.datasets

        bunch = getattr(sklearn.datasets, f"load_{name}")(as_frame=True)
        names = getattr(bunch, "target_names", None)
        target = bunch.target if names is None else bunch.target.map(lambda c: str(names[c]))
        return bunch.data.astype(float).assign(target=target)

    return read


TABLES: dict[str, Callable[[], pd.DataFrame]] = {
    "yacht": numbers("yacht.data.txt.gz"),
    "concrete": numbers("concrete.data.txt.gz"),
    "wine": bundled("wine"),
    "boston": boston,
    "wine_red": numbers("wine-quality-red.data.txt.gz"),
    "energy": numbers("energy.data.txt.gz"),
    "diabetes": bundled("diabetes"),
    "breast_cancer": bundled("breast_cancer"),
    "wine_white": white,
    "power_plant": numbers("power-plant.data.txt.gz"),
    "kin8nm": numbers("kin8nm.data.txt.gz"),
    "naval": numbers("naval-propulsion-plant.data.txt.gz"),
    "spam": spam,
}


def table(name: str) -> pd.DataFrame:
    """Standardised numbers and text, at most MOST rows, without columns of one value."""
    frame = TABLES[name]()
    if len(frame) > MOST:
        frame = frame.iloc[np.arange(MOST) * len(frame) // MOST].reset_index(drop=True)
    frame = frame.loc[:, frame.nunique() > 1]
    texts = [c for c in frame if frame[c].dtype.kind != "f"]
    scaled = {c: (frame[c] - frame[c].mean()) / frame[c].std(ddof=0) for c in frame if c not in texts}
    return frame.assign(**scaled)


class Ours:
    """Our imputer, with the intervals of its draws."""

    def __call__(self, holes: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
        from sbvi.sklearn import Imputer

        kinds = {c: "continuous" for c in holes if holes[c].dtype.kind == "f"}
        completed = Imputer(columns=kinds, random_state=seed).fit(holes).complete(holes, 0, 0.9)
        return completed.filled, completed.lower, completed.upper


class Theirs:
    """An imputer of scikit-learn; categories go in as one column for each, of which the greatest is taken."""

    def __init__(self, make: Callable[[int], Any]):
        self.make = make

    def __call__(self, holes: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, None, None]:
        texts = [c for c in holes if holes[c].dtype.kind != "f"]
        coded = pd.get_dummies(holes, columns=texts, dtype=float) if texts else holes
        for c in texts:
            coded.loc[holes[c].isna(), [n for n in coded if n.startswith(f"{c}_")]] = np.nan
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of chains that have not settled
            filled = pd.DataFrame(self.make(seed).fit_transform(coded), columns=coded.columns, index=holes.index)
        made = holes.copy()
        for c in holes:
            if c in texts:
                names = [n for n in coded if n.startswith(f"{c}_")]
                made[c] = filled[names].idxmax(axis=1).str[len(c) + 1 :]
            else:
                made[c] = filled[c]
        return made, None, None


def mean(_: int) -> Any:
    from sklearn.impute import SimpleImputer

    return SimpleImputer()


def neighbours(_: int) -> Any:
    from sklearn.impute import KNNImputer

    return KNNImputer(n_neighbors=10)


def iterative(seed: int) -> Any:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    return IterativeImputer(random_state=seed)


def forests(seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    trees = RandomForestRegressor(n_estimators=20, min_samples_leaf=2, max_features=0.5, random_state=seed)
    return IterativeImputer(trees, max_iter=5, random_state=seed)


METHODS: dict[str, Any] = {
    "sbvi": Ours(),
    "mean": Theirs(mean),
    "neighbours": Theirs(neighbours),
    "iterative": Theirs(iterative),
    "forests": Theirs(forests),
}


def place(name: str, fraction: float, seed: int, method: str) -> Path:
    return KEPT / f"{name}-{round(100 * fraction)}-{seed}-{method}.json"


def measure(name: str, fraction: float, seed: int, method: str) -> dict[str, Any]:
    """One method on one table with entries removed."""
    truth = table(name)
    gaps = np.random.default_rng([seed, round(100 * fraction)]).random(truth.shape) < fraction
    gaps &= ~pd.isna(truth).to_numpy()
    holes = truth.mask(gaps)
    cpu, wall = time.process_time(), time.monotonic()
    filled, lower, upper = METHODS[method](holes, seed)
    record: dict[str, Any] = {
        "table": name,
        "rows": len(truth),
        "columns": truth.shape[1],
        "fraction": fraction,
        "seed": seed,
        "method": method,
        "seconds": time.monotonic() - wall,
        "cpu_seconds": time.process_time() - cpu,
    }
    real = [d for d, c in enumerate(truth) if truth[c].dtype.kind == "f"]

    def part(frame: pd.DataFrame) -> np.ndarray:
        return frame.iloc[:, real].to_numpy(float)[gaps[:, real]]

    record["rmse"] = float(np.sqrt(np.mean((part(filled) - part(truth)) ** 2)))
    if lower is not None and upper is not None:
        inside = (part(lower) <= part(truth)) & (part(truth) <= part(upper))
        record |= {"coverage": float(inside.mean()), "width": float((part(upper) - part(lower)).mean())}
    texts = [d for d in range(truth.shape[1]) if d not in real]
    right = [filled.iloc[gaps[:, d], d].to_numpy() == truth.iloc[gaps[:, d], d].to_numpy() for d in texts]
    if right:
        record["accuracy"] = float(np.concatenate(right).mean())
    return record


def timed(rows: int = 5000, columns: int = 20) -> dict[str, Any]:
    """Seconds of our imputer to fit and fill a table of curved relations, a fifth of it missing."""
    generator = np.random.default_rng(0)
    z = generator.standard_normal((rows, 5))
    x = np.tanh(z @ generator.standard_normal((5, columns))) + 0.2 * generator.standard_normal((rows, columns))
    truth = pd.DataFrame((x - x.mean(0)) / x.std(0)).rename(columns=str)
    gaps = generator.random(truth.shape) < 0.2
    cpu, wall = time.process_time(), time.monotonic()
    from sbvi.sklearn import Imputer

    filled = Imputer(random_state=0).fit_transform(truth.mask(gaps))
    return {
        "rows": rows,
        "columns": columns,
        "seconds": time.monotonic() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "rmse": float(np.sqrt(np.mean((filled - truth).to_numpy()[gaps] ** 2))),
    }


def render() -> None:
    """The tables of what is kept, a mean over seeds."""
    rows = [json.loads(path.read_text()) for path in sorted(KEPT.glob("*.json")) if path != TIMED]
    lines = [
        "# Filling tables: what was measured",
        "",
        "Written by `scripts/table_rows.py`, which measures what is missing: entries removed at random, standardised "
        f"columns, at most {MOST:,} rows of a table. RMSE is over removed numbers, lower is better; accuracy over "
        "removed categories, which only some tables have; coverage and width are those of 90 % intervals. `sbvi` is "
        "`sbvi.sklearn.Imputer()` with its defaults; `neighbours` `KNNImputer(n_neighbors=10)`, `iterative` "
        "`IterativeImputer()`, `forests` the same over 20 random trees, five rounds. Numbers with more than one seed "
        "are means. CPU seconds are of fitting and filling, compilation among them, on a machine with other work.",
    ]
    for fraction in sorted({row["fraction"] for row in rows}):
        lines += [
            "",
            f"## {round(100 * fraction)} % removed",
            "",
            *_table([r for r in rows if r["fraction"] == fraction]),
        ]
    if TIMED.exists():
        trial = json.loads(TIMED.read_text())
        lines += [
            "",
            f"To fit and fill a table of {trial['rows']:,} x {trial['columns']} with a fifth missing takes "
            f"{trial['cpu_seconds']:.0f} CPU seconds, {trial['seconds']:.0f} s by the clock where other work went on.",
        ]
    PAGE.write_text("\n".join(lines) + "\n")


def _table(rows: list[dict[str, Any]]) -> list[str]:
    frame = pd.DataFrame(rows)
    whole = [n for n in TABLES if set(frame[frame.table == n].method) >= set(METHODS)]
    head = [
        "table",
        "rows x columns",
        "seeds",
        *(f"RMSE {m}" for m in METHODS),
        "accuracy (sbvi, mean, iterative, forests)",
    ]
    lines = [
        "| " + " | ".join([*head, "coverage", "width", "CPU s (sbvi, forests)"]) + " |",
        "|---" * (len(head) + 3) + "|",
    ]
    ranks, better, covered = [], 0, []
    for name in whole:
        own = frame[frame.table == name].groupby("method").mean(numeric_only=True)
        own = own.reindex(columns=[*own, *{"coverage", "width"}.difference(own)])  # of intervals, where there are any
        rmse = own.rmse.reindex(list(METHODS))
        ranks.append(rmse.rank())
        better += rmse["sbvi"] <= rmse["iterative"]
        covered.append(own.coverage["sbvi"])
        best = rmse.idxmin()
        shown = [f"**{v:.3f}**" if m == best else f"{v:.3f}" for m, v in rmse.items()]
        accuracy = (
            ""
            if "accuracy" not in own or np.isnan(own.accuracy.get("sbvi", np.nan))
            else ", ".join(f"{own.accuracy[m]:.2f}" for m in ("sbvi", "mean", "iterative", "forests"))
        )
        seeds = frame[(frame.table == name) & (frame.method == "sbvi")].seed.nunique()
        cells = [name, f"{own['rows']['sbvi']:.0f} x {own['columns']['sbvi']:.0f}", str(seeds), *shown, accuracy]
        known = not np.isnan(own.coverage["sbvi"])
        cells += [f"{own.coverage['sbvi']:.1%}", f"{own.width['sbvi']:.2f}"] if known else ["", ""]
        cells += [f"{own.cpu_seconds['sbvi']:.0f}, {own.cpu_seconds['forests']:.0f}"]
        lines.append("| " + " | ".join(cells) + " |")
    if whole:
        means = pd.concat(ranks, axis=1).mean(axis=1)
        said = ", ".join(f"{m} {v:.2f}" for m, v in means.items())
        lines += [
            "",
            f"Mean rank over {len(whole)} tables: {said}. At most the RMSE of `iterative` on {better} of them.",
        ]
        if counted := np.count_nonzero(~np.isnan(covered)):
            lines += [f"The 90 % intervals cover {np.nanmean(covered):.1%} on average over {counted} tables."]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}")
    parser.add_argument("--fractions", default="0.5", help="comma separated (default: %(default)s)")
    parser.add_argument("--seeds", default="0", help="comma separated (default: %(default)s)")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--render", action="store_true")
    given = parser.parse_args()
    if unknown := [name for name in given.tables if name not in TABLES]:
        parser.error(f"{unknown[0]} is not one of {', '.join(TABLES)}")
    KEPT.mkdir(parents=True, exist_ok=True)
    if given.time:
        write_atomically(TIMED, (json.dumps(timed(), indent=1) + "\n").encode())
    for seed in [] if given.render or given.time else map(int, given.seeds.split(",")):
        for fraction in map(float, given.fractions.split(",")):
            for name in given.tables or TABLES:
                for method in METHODS:
                    path = place(name, fraction, seed, method)
                    if not path.exists():
                        record = measure(name, fraction, seed, method)
                        write_atomically(path, (json.dumps(record, indent=1) + "\n").encode())
                        print(json.dumps(record), flush=True)
    render()


if __name__ == "__main__":
    main()
