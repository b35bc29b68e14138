"""CPU seconds of every test, its processes included, by file and by test: where the time of a test run goes.

Processes of a test are counted when they are waited for. What a shared run costs is the first test's.
"""

import resource
from collections import Counter

import pytest


def used():
    found = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in found)


class Meter:
    """A pytest plugin; with workers, theirs travels with the reports."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.before, self.item = used(), item
        return (yield)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item, call):
        if call.when == "teardown":
            item.user_properties.append(("cpu", used() - self.before))


def write(terminal, files=30, tests=40):
    """The dearest files and tests, and the sum."""
    by_file, by_test = Counter(), Counter()
    for reports in terminal.stats.values():
        for report in reports:
            if getattr(report, "when", None) == "teardown":
                seconds = dict(report.user_properties).get("cpu", 0.0)
                by_file[report.nodeid.split("::")[0]] += seconds
                by_test[report.nodeid] += seconds
    terminal.section("CPU seconds")
    for name, value in [*by_test.most_common(tests), *by_file.most_common(files)]:
        terminal.line(f"{value:7.1f}  {name}")
    terminal.line(f"{sum(by_file.values()):7.1f}  all {len(by_file)} files")
