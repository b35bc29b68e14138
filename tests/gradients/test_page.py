"""docs/rules.md: its example runs and is right, and it names every family, parameter and rule."""

import re
from pathlib import Path

import numpy as np
from scipy import integrate, stats

from sbvi.gradients import B_FUNCTIONS, FAMILIES, RULES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "rules.md").read_text()


def test_the_example_runs_and_is_right():
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: dict = {}
    exec(example, found)

    def truth(concentration, rate):
        law = stats.gamma(concentration, scale=1 / rate)
        # Over the square root, where the density is smooth.
        return integrate.quad(lambda r: np.log1p(r**2) * law.pdf(r**2) * 2 * r, 0, 6)[0]

    assert abs(float(found["value"]) - truth(0.5, 2.0)) < 0.01
    wanted = (
        (truth(0.501, 2.0) - truth(0.499, 2.0)) / 0.002,
        (truth(0.5, 2.001) - truth(0.5, 1.999)) / 0.002,
    )
    np.testing.assert_allclose(found["slopes"], wanted, rtol=0.05)


def test_every_family_and_rule_is_named():
    section = PAGE[PAGE.index("## Other families") :]
    for name, family in FAMILIES.items():
        assert f"`{name}`" in section
        assert "(" + ", ".join(family.parameters) + ")" in section, name
    for family, _ in B_FUNCTIONS:
        assert f"`{family}`" in section
    for rule in RULES:
        assert f"| `{rule}` |" in PAGE
