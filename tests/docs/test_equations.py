"""Equations of the pages: MathML that a browser shows by itself, with TeX of which nothing is left."""

import re
import runpy
import xml.etree.ElementTree as ElementTree

import markdown
import pytest
from support.paths import ROOT

DOCS = ROOT / "docs"
WITH = [path for path in sorted(DOCS.glob("*.md")) if re.search(r"^\$\$$|(?<!`)\$[^`$\n]+\$", path.read_text(), re.M)]


def built(text):
    """A page's HTML as the site has it."""
    settings = {"pymdownx.arithmatex": {"generic": True}}
    content = markdown.markdown(
        text, extensions=["tables", "fenced_code", "pymdownx.arithmatex"], extension_configs=settings
    )
    return runpy.run_path(str(ROOT / "scripts" / "site_equations.py"))["on_page_content"](content)


@pytest.mark.parametrize("path", WITH, ids=lambda path: path.stem)
def test_every_equation_of_a_page_is_mathml(path):
    content = built(path.read_text())
    found = re.findall(r"<math.*?</math>", content, re.S)
    assert found
    assert "arithmatex" not in content
    for equation in found:
        text = "".join(ElementTree.fromstring(equation).itertext())
        assert "\\" not in text, text
        assert "$" not in text, text


def test_an_equation_keeps_its_parts():
    content = built("$\\log p(x \\mid z) \\ge 1$ and `$HOME` and\n\n$$\n\\frac{a}{b}\n$$\n")
    inline, block = re.findall(r"<math.*?</math>", content, re.S)
    assert 'display="inline"' in inline
    assert '<mi>log</mi><mspace width="0.167em"/>' in inline
    assert "<mfrac>" in block
    assert 'display="block"' in block
    assert "$HOME" in content


def test_the_concepts_have_equations():
    assert {"concepts", "tables"} <= {path.stem for path in WITH}
