"""docs/reliability.md has a row for each promise of the tests, and no other; counts are of its last run."""

import ast
from types import SimpleNamespace

import pytest
from support.paths import ROOT
from support.promises import rows, write

pytestmark = pytest.mark.quick


def promises():
    """Sentence -> the tests that are marked with it."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            for mark in getattr(function, "decorator_list", []):
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.promise":
                    name = f"`{path.relative_to(ROOT)}::{function.name}`"
                    found.setdefault(ast.literal_eval(mark.args[0]), []).append(name)
    return found


def test_every_promise_has_its_row_and_every_row_its_test():
    """Else the page is behind the tests: scripts/reliability writes it."""
    found = rows(ROOT / "docs" / "reliability.md")
    assert {sentence: by for sentence, (_, by) in found.items()} == {s: ", ".join(by) for s, by in promises().items()}
    assert [sentence for sentence, (tried, _) in found.items() if "not run or failed" in tried] == []


def report(sentence, test, count, outcome="passed"):
    properties = [("promise", (sentence, "tries")), ("count", count)]
    return SimpleNamespace(user_properties=properties, when="call", nodeid=test, outcome=outcome)


def test_a_run_of_some_promises_leaves_the_other_rows(tmp_path):
    """Those of tests that are gone are dropped; a failure is told."""
    page, here = tmp_path / "page.md", "tests/docs/test_reliability_page.py"
    first, second = (f"{here}::{f.__name__}" for f in (test_every_promise_has_its_row_and_every_row_its_test, report))
    write(page, {"passed": [report("one", f"{first}[a]", 2), report("one", f"{first}[b]", 3)]})
    assert rows(page) == {"one": ["5 tries", f"`{first}`"]}
    write(page, {"passed": [report("gone", f"{here}::test_gone", 1)], "failed": [report("two", second, 1)]})
    assert rows(page).keys() == {"gone", "one", "two"}
    write(page, {"passed": [report("two", second, 4)]})
    assert rows(page) == {"one": ["5 tries", f"`{first}`"], "two": ["4 tries", f"`{second}`"]}
