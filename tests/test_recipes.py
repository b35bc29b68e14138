"""The rows that scripts/reproduce.py can run, and what the pages say of stored ones."""

import hashlib
import importlib
import json
import re
import sys
from functools import partial
from types import SimpleNamespace

import pytest
from support.paths import ROOT

from sbvi.core import UserError
from sbvi.evaluation import trust
from sbvi.runs import Experiment
from sbvi.runs.compose import composed
from sbvi.runs.start import warn_of_other_meanings

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def scripts():
    """The modules of scripts/ by name."""
    sys.path.insert(0, str(ROOT / "scripts"))
    names = ("recipes", "results_page", "measured_pages", "reproduce", "search_page")
    yield {name: importlib.import_module(name) for name in names}
    sys.path.remove(str(ROOT / "scripts"))


def test_rows_start_from_parameters_that_mean_the_same_there(scripts, monkeypatch, caplog):
    """Of a row that starts from another's, what differs is how it is trained."""
    rows, reproduce = scripts["recipes"].ROWS, scripts["reproduce"]
    started = {name: row.start for name, row in rows.items() if row.start is not None and row.of is None}
    assert len(started) > 8
    for name, source in started.items():
        begun = SimpleNamespace(read_run=partial(dict, config=composed(reproduce.words(source, 0))))
        monkeypatch.setattr("sbvi.runs.start.RunDirectory", lambda folder, begun=begun: begun)
        warn_of_other_meanings(Experiment.from_overrides(reproduce.words(name, 0)))
    assert caplog.text == ""


def record(row, metrics, seed=0, **evaluations):
    made = {
        label: {"metrics": m, "command": f"make {label}", "picture": f"{label}.png"} for label, m in evaluations.items()
    }
    return {"row": row, "seed": seed, "metrics": metrics, "evaluations": made}


def test_rows_name_what_there_is(scripts):
    rows, tables = scripts["recipes"].ROWS, scripts["recipes"].TABLES
    for name, row in rows.items():
        assert row.table in tables, name
        if row.of is None:
            assert (ROOT / "configs" / "experiment" / f"{row.experiment or name}.yaml").exists(), name
        assert row.start is None or rows[row.start].of is None, name
        assert row.of is None or rows[row.of].of is None, name
        assert row.work is None or row.work in [work.label for work in rows[row.of or name].works], name
    for name, other in scripts["measured_pages"].COMPARED:
        assert rows[name].table == rows[other].table
    for page, repeated in scripts["measured_pages"].PAGES.items():
        assert (ROOT / "docs" / page).exists()
        assert set(repeated) <= set(tables)


def test_words_and_folders_of_rows(scripts):
    """A row with words of its own has its own folder; a start is of the same seed, an ensemble of the next ones too."""
    reproduce, root = scripts["reproduce"], ROOT / "outputs" / "reproduce"
    assert reproduce.folder("figure3_mnist", 2) == root / "quick_mnist-2"
    assert reproduce.folder("depth_bihm_2", 1) == root / "depth_bihm_2-1"
    assert reproduce.words("depth_bihm_2", 1) == ["experiment=depth_bihm", "model.layers=[300,200]", "seed=1"]
    start = "init_from=outputs/reproduce/bihm_mnist-3"
    assert reproduce.words("bihm_mnist_fine", 3) == ["experiment=bihm_mnist_fine", "seed=3", start]
    assert list(reproduce.members("small_mnist_ensemble", 4)) == list(range(4, 29))
    assert list(reproduce.members("bihm_mnist", 4)) == [4]


def test_a_number_of_an_evaluation_is_that_rows(scripts):
    over_seeds = scripts["results_page"].over_seeds
    records = [
        record("caltech_sgmcmc", {"test/nll": 120.0}, seed, average={"test/nll": 110.0 + seed}) for seed in (0, 2)
    ]
    records.append(record("caltech_sgmcmc", {"test/nll": 121.0}, 3))
    assert over_seeds(records, "caltech_sgmcmc") == {0: 120.0, 2: 120.0, 3: 121.0}
    assert over_seeds(records, "caltech_sgmcmc_average") == {0: 110.0, 2: 112.0}
    both = [record("depth_bihm_3", {"test/nll": 91.0, "test/nll_geometric": 90.0})]
    assert over_seeds(both, "depth_bihm_3") == {0: 90.0}
    assert over_seeds(both, "depth_bihm_3", "test/nll") == {0: 91.0}


def test_rows_tell_how_many_examples_weights_do_badly_by(scripts):
    tails = scripts["results_page"].tails
    told = {"test/elbo": -92.0, "test/khat_above_0.7": 0.947}
    assert [tails(metrics, "test") for metrics in (told, {"test/elbo": -92.0}, {"test/nll": 87.4})] == ["95 %", "-", ""]
    of_table1 = [r["metrics"] for r in scripts["results_page"].stored() if r["row"] == "table1_diagonal"]
    shares = [metrics["test/khat_above_0.7"] for metrics in of_table1]
    assert shares
    assert [tails(metrics, "test") for metrics in of_table1] == [f"{round(100 * share)} %" for share in shares]


def test_figure_2_is_of_many_images_and_shows_what_the_paper_shows(scripts):
    medians = {}
    for record in scripts["results_page"].stored():
        if record["row"] in ("figure2_diagonal", "figure2_rank_one"):
            made = record["evaluations"]["posterior"]
            assert "task.examples=200" in made["command"]
            medians[record["row"]] = made["metrics"]["posterior/kl_median"]
    assert medians["figure2_rank_one"] < medians["figure2_diagonal"] < 1


def test_stored_rows_tell_how_far_they_can_be_trusted(scripts):
    """A likelihood that rests on importance samples has its k-hat, and an imputation chains that have met: fewer than a
    tenth of the examples, the share above which a task warns, have an R-hat above 1.1."""
    with_bounds = chains = 0
    for record in scripts["results_page"].stored():
        metrics = record["metrics"]
        if "test/elbo" in metrics and "test/nll" in metrics:
            with_bounds += 1
            assert "test/khat_above_0.7" in metrics, record["row"]
        for name, made in record["evaluations"].items():
            if (share := made["metrics"].get("imputation/rhat_above_1.1")) is not None:
                chains += 1
                assert share < trust.SHARE, (record["row"], name)
    assert with_bounds > 30
    assert chains > 5


def below(page, picture):
    """What a page says from each place where it shows a picture to the next picture or heading."""
    shown = f"figures/{picture})"
    return [re.split(r"!\[|\n#", rest)[0] for rest in page.split(shown)[1:]]


def untold(pages, picture, rhat):
    """Names of the pages that show a picture of chains and do not tell their R-hat beside it."""
    told = re.compile(rf"R-hat\D*{re.escape(f'{rhat:.2f}')}\b")
    return [name for name, page in pages.items() if not all(told.search(said) for said in below(page, picture))]


def test_a_picture_of_chains_that_have_not_met_says_so_where_it_is_shown(scripts):
    pages = {path.name: path.read_text() for path in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]}
    shown = 0
    for record in scripts["results_page"].stored():
        for name, made in record["evaluations"].items():
            rhat = made["metrics"].get("samples/rhat", 0)
            if rhat > 1.1 and "picture" in made:  # as the first seed's has
                assert untold(pages, made["picture"], rhat) == [], (record["row"], name)
                shown += sum(len(below(page, made["picture"])) for page in pages.values())
    assert shown > 0


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("![c](figures/a.png)\n\nR-hat of the chains' means: 5.04 (had not met).", []),
        ("![c](figures/a.png)\n\nR-hat of the chains' means: 1.04 (had met).", ["page"]),
        ("![c](figures/a.png)\n\n## Next\n\nR-hat of the chains' means: 5.04.", ["page"]),
        ("![c](figures/a.png)\n\n![d](figures/b.png)\n\nR-hat of the chains' means: 5.04.", ["page"]),
        ("R-hat of the chains' means: 5.04.\n\n![c](figures/a.png)\n", ["page"]),
        ("R-hat is of other chains: ![d](figures/b.png)", []),
    ],
    ids=["told", "another number", "after a heading", "of the next picture", "before it", "not shown"],
)
def test_a_page_that_leaves_r_hat_out_is_found(said, wrong):
    assert untold({"page": said}, "a.png", 5.0415) == wrong


def test_pictures_are_of_the_runs_whose_numbers_stand_beside_them(scripts):
    """A picture that another run has made since has another hash; of other seeds than one there are none."""
    known, pictured = 0, scripts["reproduce"].PICTURED
    for record in scripts["results_page"].stored():
        works = {work.label: work for work in scripts["recipes"].ROWS[record["row"]].works}
        for name, made in record["evaluations"].items():
            if "picture" not in made:
                without = name not in works or works[name].picture is None or record["seed"] != pictured
                assert without, (record["row"], name)
                continue
            assert record["seed"] == pictured, (record["row"], name)
            picture = scripts["results_page"].FIGURES / made["picture"]
            assert picture.exists(), (record["row"], name)
            if "picture_sha256" in made:
                known += 1
                assert hashlib.sha256(picture.read_bytes()).hexdigest() == made["picture_sha256"], (record["row"], name)
    assert known > 0


def test_what_pages_say_below_a_table(scripts, tmp_path, monkeypatch):
    pages = scripts["measured_pages"]
    monkeypatch.setattr(pages, "FIGURES", tmp_path)
    depths = [record(f"depth_bihm_{n}", {"test/nll_geometric": 90.0 - n, "test/nll": 91.0}) for n in (1, 5, 12)]
    depths += [
        record(f"depth_reweighted_wake_sleep_{n}", {"test/nll": 92.0 + abs(n - 3)}, s) for n in (1, 3) for s in (0, 1)
    ]
    said = "\n".join(pages.sections(depths, "depth"))
    assert "-log p*: best with 12 layers, 78.00;" in said
    assert "reweighted wake-sleep, -log p: best with 3 layers, 92.00 ± 0.00." in said
    assert (tmp_path / "depth.png").exists()
    assert pages.sections([], "depth") == []

    parts = {"nll_geometric": 89.4, "nll_geometric_bound": 93.5, "log_z2": -4.05, "nll": 89.7}
    metrics = {f"test/{name}": v for name, v in parts.items()} | {f"test/{name}_stderr": 0.25 for name in parts}
    drawn = [record("depth_bihm_12", metrics, gibbs={"samples/rhat": 5.041}, samples={"samples/effective_pool": 5.58})]
    said = "\n".join(pages.sections([drawn[0] | {"samples": 5000}], "depth"))
    assert "| `depth_bihm_12` | 0 | 89.40 ± 0.25 | 93.50 ± 0.25 | -4.05 ± 0.25 | 89.70 ± 0.25 | 5,000 |" in said
    assert "R-hat of the chains' means: 5.04 (the chains had not met, and these are no draws of p* yet)." in said
    assert "Of the 100 draws that each is chosen from, 5.6 count." in said
    assert pages.reached({"samples/rhat": 1.05}) == "R-hat of the chains' means: 1.05 (the chains had met)."

    curve = {"test/nll": 107.0, "test/draws_1/nll": 115.0, "test/draws_1/nll_stderr": 0.5}
    chain = {f"chain/{name}/{what}": 1.5 for name in ("log_likelihood", "temperature", "thermostat")
             for what in ("rhat", "effective", "mean")}  # fmt: skip
    records = [record("caltech_reweighted_wake_sleep", {"test/nll": 113.0}),
               record("caltech_sgmcmc", {"test/nll": 112.0}, average=curve, chain=chain)]  # fmt: skip
    said = "\n".join(pages.sections(records, "sgmcmc"))
    assert "`caltech_sgmcmc` less `caltech_reweighted_wake_sleep` -1.00" in said
    assert "`caltech_sgmcmc_average` less `caltech_reweighted_wake_sleep` -6.00" in said
    assert "| `caltech_sgmcmc` | average | 1 | 115.00 ± 0.50 | 1 |" in said
    assert "| `caltech_sgmcmc` | 0 | 1.5 | 1.5 | 1.5 | 1.5 |" in said
    assert "(results/figures/average.png)" in said
    half = {"imputation/rmse": 0.2, "imputation/coverage": 0.91, "imputation/rhat_above_1.1": 0.25}
    said = "\n".join(pages.sections([record("small_mnist_sgmcmc", {}, lower_half=half)], "small"))
    assert "| `small_mnist_sgmcmc` | 0.0400 | 91 % | 25 % | 1 |" in said


def test_what_several_seeds_say_below_a_table(scripts):
    """Means with standard errors over seeds, each chain by itself, and the pictures of one seed."""
    pages = scripts["measured_pages"]
    records = [record("small_mnist_gradient_ascent", {"test/nll": 100.0 - seed}, seed) for seed in (0, 1, 2)]
    for seed, away in enumerate((0.0, 3.0, 6.0)):
        curve = {"test/draws_5/nll": 110.0 + away, "test/draws_5/nll_stderr": 0.5}
        half = {"imputation/rmse": 0.2 + 0.1 * seed, "imputation/coverage": 0.9 - 0.02 * seed}
        chain = {f"chain/{name}/{what}": 1.5 + seed for name in ("log_likelihood", "temperature", "thermostat")
                 for what in ("rhat", "effective", "mean")}  # fmt: skip
        metrics = {"test/nll": 101.0 + away}
        records.append(record("small_mnist_sgmcmc", metrics, seed, average=curve, lower_half=half, chain=chain))
    said = "\n".join(pages.sections(records, "small"))
    # Of 0, 3 and 6 the standard deviation is 3, and of 1, 5 and 9 it is 4.
    assert "| `small_mnist_sgmcmc` | average | 5 | 113.00 ± 1.73 | 3 |" in said
    assert "`small_mnist_sgmcmc` less `small_mnist_gradient_ascent` +5.00 ± 2.31" in said
    # Of 0.04, 0.09 and 0.16 the mean is 0.0967, and their standard deviation 0.0603.
    assert "| `small_mnist_sgmcmc` | 0.0967 ± 0.0348 | 88 % | - | 3 |" in said
    for seed in (0, 1, 2):
        assert f"| `small_mnist_sgmcmc` | {seed} | {1.5 + seed:.3g} | " in said
    assert said.count("(results/figures/average.png)") == 1


def test_a_search_is_kept_and_shown(scripts, tmp_path, monkeypatch):
    optuna = pytest.importorskip("optuna")
    pages, sweep = scripts["search_page"], tmp_path / "sweep"
    monkeypatch.setattr(pages, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(pages, "SEARCHES", tmp_path / "searches")
    (tmp_path / "figures").mkdir()
    with pytest.raises(UserError, match="is not the directory of a search"):
        pages.keep(sweep)
    sweep.mkdir()
    storage = f"sqlite:///{sweep / 'optuna-study.db'}"
    study = optuna.create_study(storage=storage, study_name="rates", direction="maximize")
    with pytest.raises(UserError, match="no trial of the search completed"):
        pages.keep(sweep)
    for number, value in enumerate([-120.0, -99.5, -101.0]):
        own = study.ask()
        own.suggest_float("optimizer.learning_rate", 1e-4, 1e-1, log=True)
        own.suggest_int("seed", 3, 3)
        own.report(value - 1, 10)
        own.report(value, 10 * (2 + number))
        if number == 2:
            own.set_user_attr("pruned", True)
        study.tell(own, value)
    study.tell(study.ask(), state=optuna.trial.TrialState.FAIL)
    job = sweep / "job"
    job.mkdir()
    (job / "run.json").write_text(json.dumps({"command": ["sbvi-train", "-m", "search=x", "hydra.sweep.dir=there"]}))
    (job / "result.json").write_text(json.dumps({"monitor": "validation/elbo"}))
    pages.keep(sweep)
    stored = json.loads((tmp_path / "searches" / "rates.json").read_text())
    assert stored["command"] == "sbvi-train -m search=x"
    assert [t["value"] for t in stored["trials"]] == [-120.0, -99.5, -101.0]
    assert stored["trials"][1]["validations"] == [[10, -100.5], [30, -99.5]]
    said = "\n".join(pages.section())
    assert "3 trials, 1 of them pruned" in said
    best, pruned, worst = (line.split(" | ") for line in said.splitlines() if line.startswith("| 0."))
    assert (best[1], best[2], best[3].strip()) == ("-99.50", "30", "")
    assert (pruned[1], pruned[3]) == ("-101.00", "pruned")
    assert worst[1] == "-120.00"
    assert "best `validation/elbo`" in said
    assert "seed" not in said  # which no trial varied
    assert (tmp_path / "figures" / "search-rates.png").exists()
