"""What a page has to run: its commands and its Python blocks, in order."""

import re
import shlex
from pathlib import Path
from typing import NamedTuple

from support.paths import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_PROGRAMS = r"sbvi-\w+|scripts/\w+(?:\.py)?|python|pip|tensorboard|srun|source|git|mkdocs|curl|conda|docker|[A-Z_]+=\S+"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


class Code(NamedTuple):
    """A Python block."""

    source: str


class Line(NamedTuple):
    """A command, as a shell splits it; what it is known by is its words with spaces between."""

    words: tuple[str, ...]

    def __str__(self):
        return " ".join(self.words)


def steps(page: Path) -> list[Code | Line]:
    """What the blocks of a page run, from top to bottom."""
    found = []
    for kind, text in _BLOCK.findall(page.read_text()):
        if kind == "python":
            found.append(Code(text))
        elif kind in ("", "bash", "sh", "shell", "console"):
            lines = text.replace("\\\n", " ").splitlines()
            words = [shlex.split(line, comments=True) for line in lines if re.match(rf"({_PROGRAMS})( |$)", line)]
            found += [Line(tuple(line)) for line in words]
    return found


def between_the_lines(page: Path) -> list[Line]:
    """The commands of this package that stand in a page's sentences and tables."""
    spans = re.findall(r"`(sbvi-\w+ [^`]*)`", _BLOCK.sub("", page.read_text()))
    return [Line(tuple(shlex.split(span))) for span in spans]


def own(line: Line) -> list[str] | None:
    """A line's words from the command of this package on; None where there is none in it."""
    starts = [position for position, word in enumerate(line.words) if word.startswith("sbvi-")]
    return list(line.words[starts[0] :]) if starts else None


def named(name: str) -> Path:
    """The page of that name."""
    return next(page for page in PAGES if page.name == name)
