"""Lines of UTF-8 in a text file that is not UTF-8 as a whole."""

import logging
import re
from collections.abc import Sequence

log = logging.getLogger(__name__)

#: What a file is read as that is not UTF-8.
OTHER = "cp1252"
#: What stands around words, of ASCII alone: a character of UTF-8 may hold the byte of a space in the other encoding.
_BETWEEN = re.compile('[ \t,;"]')


def tell_mixed(lines: Sequence[str], where: str) -> None:
    """Warn of the first line that was read in the other encoding and is UTF-8, whose words would pass for words apart
    from the same ones in other lines."""
    for number, line in enumerate(lines, 1):
        if line.isascii():
            continue
        try:
            line.encode(OTHER).decode("utf-8")
        except UnicodeDecodeError:
            continue
        word = next(word for word in _BETWEEN.split(line) if not word.isascii())
        log.warning(
            "%s is not UTF-8 and is read as Windows-1252, but line %d is UTF-8, so that its %s is likely %s and is "
            "taken for another word; save the file in one encoding.",
            *(where, number, word[:40], word.encode(OTHER).decode("utf-8")[:40]),
        )
        return
