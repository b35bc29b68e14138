"""Names that MLflow takes: those of a table's columns have characters, and parts, that it refuses."""

import re

#: Characters that MLflow refuses in a name, and how many of others it takes at most.
REFUSED, LONGEST = re.compile(r"[^/\w.\- :]"), 250


class Names:
    """What each name of a run is told as: itself where MLflow takes it, and two names never as one."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        if name not in self._told:
            taken, plain, number = set(self._told.values()), allowed(name), 2
            told = plain
            while told in taken:
                told = f"{plain[: LONGEST - 8]}_{number}"
                number += 1
            self._told[name] = told
        return self._told[name]


def allowed(name: str) -> str:
    """A name with _ in place of what MLflow refuses: other characters, and parts that a path would not keep."""
    parts = [re.sub(r"^\.{0,2}$", "_", part) for part in REFUSED.sub("_", name).split("/")]
    return "/".join(parts)[:LONGEST].rstrip("/")
