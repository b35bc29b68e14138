"""Models: what they offer is in `capabilities`; one model a module or package.

To add one: a `spec` that is a `ModelSpec`, whose `build` gives an object with the `capabilities` that it can
have; a line in MODELS; a file in `configs/model/`; a row in the contract test.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sbvi.core import UserError
from sbvi.core.plugins import extend
from sbvi.models.capabilities import offers
from sbvi.models.circuit import Circuit
from sbvi.models.dlgm import DLGM
from sbvi.models.helmholtz import Helmholtz
from sbvi.models.mixture import Mixture
from sbvi.models.nade import NADE
from sbvi.models.parts import Parts
from sbvi.models.spec import ModelSpec

MODELS: dict[str, type[ModelSpec]] = {
    "dlgm": DLGM,
    "helmholtz": Helmholtz,
    "mixture": Mixture,
    "nade": NADE,
    "circuit": Circuit,
    "parts": Parts,
}


def serving(capability: type) -> list[str]:
    """The names of the models that have a capability."""
    return [name for name, entry in MODELS.items() if offers(entry.builds, capability)]


def require(model: Any, capability: type, who: str) -> Any:
    """The built model, or the class of one, known to have a capability.

    Args:
      who: what needs it, as the user names it, such as `task=embedding`.

    Raises:
      UserError: the model lacks it; the sentence names models that would serve.
    """
    if offers(model, capability):
        return model
    what = (capability.__doc__ or capability.__name__).split("\n")[0].split(": ")[0].rstrip(".")
    raise _lacking(model, who, f"{capability.__name__}: {what}", serving(capability))


def require_any(model: Any, ways: Sequence[Sequence[type]], who: str) -> Any:
    """As `require`, of all capabilities of one way at least, where several serve."""
    if any(all(offers(model, capability) for capability in way) for way in ways):
        return model
    what = "; or ".join(" with ".join(capability.__name__ for capability in way) for way in ways)
    would = {name for way in ways for name in set.intersection(*(set(serving(capability)) for capability in way))}
    raise _lacking(model, who, what, would)


def _lacking(model: Any, who: str, what: str, would: Iterable[str]) -> UserError:
    kind = model if isinstance(model, type) else type(model)
    # What a spec builds may be a kind of this, by its settings.
    name = next((n for n, entry in MODELS.items() if issubclass(entry.builds, kind)), kind.__name__)
    models = ", ".join(f"{n} with other settings" if n == name else n for n in sorted(would)) or "none of today's"
    return UserError(f"{who} needs what model={name} has not ({what}); models that serve: {models}.")


extend(MODELS, "sbvi.models", ("builds", *(name for name in vars(ModelSpec) if not name.startswith("_"))))

__all__ = ["DLGM", "MODELS", "Circuit", "Helmholtz", "require", "require_any", "serving"]
