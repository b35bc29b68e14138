"""A hook of MkDocs: equations of the pages as MathML, which browsers show by themselves, offline too.

`pymdownx.arithmatex` finds what stands between dollars, as GitHub does; its TeX becomes MathML when the site is built.
"""

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FOUND = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.S)

#: TeX leaves a space between a function's name and its argument, unless that is in brackets.
_NAMED = re.compile(r"<mi>(log|exp)</mi>(?!<mo[^>]*>(&#x00028;|\())")
_SPACE = '<mspace width="0.167em"/>'


def on_page_content(content: str, **_: Any) -> str:
    """The page with its equations as MathML."""

    def as_mathml(found: re.Match[str]) -> str:
        shown = "block" if found[1] == "div" else "inline"
        return _NAMED.sub(r"\g<0>" + _SPACE, convert(html.unescape(found[2]).strip(), display=shown))

    return _FOUND.sub(as_mathml, content)
