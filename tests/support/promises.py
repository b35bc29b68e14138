"""docs/reliability.md: every promise with the test that tries to break it, from the reports of a test run."""

from collections import defaultdict
from pathlib import Path

HEAD = """# Reliability

*Written by a test run (`scripts/reliability`); no count is typed by hand.* Every promise has a test that tries to break
it with real processes, signals and files. The last run, in {seconds:.0f} seconds of tests, {ended}.

| promise | put to the test | by |
|---|---|---|
"""


def write(path: Path, stats):
    """A row for each promise of the tests that ran; counts are sums over its tests."""
    rows = defaultdict(lambda: [0, "", set(), 0])
    seconds, failed = 0.0, 0
    for outcome in ("passed", "failed", "skipped"):
        for report in stats.get(outcome, []):
            properties = dict(report.user_properties)
            if "promise" not in properties or (report.when != "call" and outcome == "passed"):
                continue
            sentence, unit = properties["promise"]
            row = rows[sentence]
            row[0] += sum(value for name, value in report.user_properties if name == "count")
            row[1] = unit
            row[2].add(report.nodeid.split("[")[0])
            row[3] += outcome != "passed"
            failed += outcome == "failed"
            seconds += report.duration
    lines = []
    for sentence, (count, unit, tests, missing) in sorted(rows.items()):
        tried = f"{count:,} {unit}" + (f"; {missing} not run or failed" if missing else "")
        lines.append(f"| {sentence} | {tried} | {', '.join(f'`{name}`' for name in sorted(tests))} |")
    ended = f"had {failed} failures" if failed else "passed"
    path.write_text(HEAD.format(seconds=seconds, ended=ended) + "\n".join(lines) + "\n")
