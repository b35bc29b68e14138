"""docs/reliability.md: every promise with the test that tries to break it, from the reports of a test run."""

import re
from collections import defaultdict
from pathlib import Path

from support.paths import ROOT

HEAD = """# Reliability

*Written by test runs (`scripts/reliability`); no count is typed by hand.* Every promise has a test that tries to break
it with real processes, signals and files. A row is of the last run of its tests.

| promise | put to the test | by |
|---|---|---|
"""


def rows(path: Path) -> dict[str, list[str]]:
    """Promise -> what was tried, and the tests, of a page that was written before."""
    if not path.exists():
        return {}
    lines = [line for line in path.read_text().splitlines() if line.startswith("| ")][1:]
    return {sentence: rest for sentence, *rest in ([c.strip() for c in line.strip("|").split("|")] for line in lines)}


def _there(tests: str) -> bool:
    """Whether each of `FILE::TEST`, .. is in the source."""
    places = re.findall(r"`(.+?)::(\w+)`", tests)
    files = [(ROOT / file, f"def {name}(") for file, name in places]
    return all(file.exists() and text in file.read_text() for file, text in files)


def write(path: Path, stats):
    """A row for each promise of the tests that ran, counts being sums over its tests; of those that did not run the
    row that is there, so long as its tests are."""
    found = defaultdict(lambda: [0, "", set(), 0])
    for outcome in ("passed", "failed", "skipped"):
        for report in stats.get(outcome, []):
            properties = dict(report.user_properties)
            if "promise" not in properties or (report.when != "call" and outcome == "passed"):
                continue
            sentence, unit = properties["promise"]
            row = found[sentence]
            row[0] += sum(value for name, value in report.user_properties if name == "count")
            row[1] = unit
            row[2].add(report.nodeid.split("[")[0])
            row[3] += outcome != "passed"
    kept = {sentence: row for sentence, row in rows(path).items() if _there(row[1])}
    for sentence, (count, unit, tests, missing) in found.items():
        tried = f"{count:,} {unit}" + (f"; {missing} not run or failed" if missing else "")
        kept[sentence] = [tried, ", ".join(f"`{name}`" for name in sorted(tests))]
    path.write_text(HEAD + "".join(f"| {s} | {tried} | {tests} |\n" for s, (tried, tests) in sorted(kept.items())))
