"""What holds the rooms apart, read from the source itself."""

import ast
import tomllib

import pytest
from support.paths import ROOT

pytestmark = pytest.mark.quick

MODULES = [
    path
    for folder in ("sbvi", "hydra_plugins")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if (ROOT / "sbvi" / "models") not in path.parents
]


def names(source):
    """Every name of a module's code, those that it imports among them; words in strings and comments are none."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases):
                yield from (f"{module}.{alias.name}" for alias in aliases)
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name


def naming_the_dlgm(source):
    return [name for name in names(source) if "dlgm" in name.lower()]


@pytest.mark.parametrize(
    "source",
    [
        "import sbvi.models.dlgm",
        "from sbvi.models import DLGM as Model",
        "from sbvi.models.dlgm import model",
        "def f(x): return isinstance(x, api.BuiltDLGM)",
        "def dlgm_rows(x): ...",
        "f(dlgm=1)",
    ],
)
def test_a_module_that_names_the_dlgm_is_seen(source):
    assert naming_the_dlgm(source)
    assert not naming_the_dlgm('"""Of a DLGM."""\nname = "dlgm"  # not of a DLGM alone')


def test_no_module_outside_the_models_names_the_dlgm():
    assert len(MODULES) > 100
    found = {str(path.relative_to(ROOT)): naming_the_dlgm(path.read_text()) for path in MODULES}
    assert not {path: named for path, named in found.items() if named}


def test_every_room_is_in_the_import_contract():
    with open(ROOT / "pyproject.toml", "rb") as file:
        contract = tomllib.load(file)["tool"]["importlinter"]
    layers = [room.strip() for layer in contract["contracts"][0]["layers"] for room in layer.split("|")]
    rooms = {f"sbvi.{path.parent.name}" for path in (ROOT / "sbvi").glob("*/__init__.py")}
    assert sorted(layers) == sorted(rooms | {"hydra_plugins"})
    assert {path.parent.name for path in (ROOT / "sbvi").glob("*/*.py")} == {room.split(".")[1] for room in rooms}
    assert contract["root_packages"] == ["sbvi", "hydra_plugins"]


def test_scripts_in_python_end_in_py():
    """So that ruff sees them; the others are shells."""
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and path.suffix != ".py"]
    assert {path.name for path in scripts} >= {"test", "train"}
    assert not [path.name for path in scripts if "python" in path.read_text().partition("\n")[0]]


def test_every_file_of_tests_has_a_name_of_its_own():
    """Pytest imports them by it: of two with the same one the whole run takes the first alone."""
    found = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(found) == sorted(set(found))
