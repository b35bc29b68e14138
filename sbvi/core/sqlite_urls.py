"""SQLite files as URLs of databases, which SQLAlchemy reads, and back."""

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote

SQLITE = "sqlite:///"


def plain(place: Path) -> bool:
    """Whether a path stands in a URL as it is: SQLAlchemy ends it at a question mark, and Optuna fills in what stands
    in braces."""
    return not re.search("[?{}]", str(place))


def url_of(file: Path) -> str:
    """The URL of a file that is there or may be made: by its path as it stands, and where that holds a character that
    would be read as something else by a name of SQLite's own, in which it is quoted."""
    place = file.absolute()
    if ".." in place.parts:  # which SQLAlchemy takes away, whatever links stand before it
        place = place.resolve()
    if plain(place):
        return f"{SQLITE}{place}"
    return f"{SQLITE}file:{quote(os.fsencode(place))}?uri=true"


def file_of(url: object) -> Path | None:
    """The file of a database's URL; None where it is in memory, or another database."""
    match = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]*)(?:\?(.*))?", url, re.DOTALL) if isinstance(url, str) else None
    if match is None:
        return None
    name, options = match[1], parse_qs(match[2] or "")
    if options.get("uri", ["false"])[-1].lower() in ("true", "yes", "on", "1", "y", "t") and name.startswith("file:"):
        name = unquote(re.sub("^//[^/]*", "", name.removeprefix("file:")), errors="surrogateescape")
    return None if name in ("", ":memory:") or "memory" in options.get("mode", ()) else Path(name)
