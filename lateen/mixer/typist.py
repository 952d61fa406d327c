"""Types the expressions of one object, and notes what is wrong with them."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import Language
from lateen.api.expressions.types import ValueType
from lateen.api.objects import ConfigObject, joined_path
from lateen.mixer import typing
from lateen.mixer.faults import Faults
from lateen.mixer.manifests import AttributeTypes
from lateen.mixer.typing import Typed

LANGUAGE_ANNOTATION: Final = "policy.istio.io/lang"
"""With this annotation a rule or instance says in which language its expressions are."""

LANGUAGES: Final = MappingProxyType({"CEXL": Language.CEXL, "COMPAT": Language.CEXL, "CEL": Language.CEL})
"""What the annotation may say. COMPAT was Mixer's own language with the meaning of CEL, which here it always has."""


@dataclass(frozen=True, slots=True)
class Typist:
    """Types the expressions of an object; `types` are the attributes that they may read."""

    item: ConfigObject[Any]
    language: Language
    types: AttributeTypes
    faults: Faults

    def typed(self, text: str, path: str, wanted: tuple[ValueType, ...] = ()) -> Typed | None:
        """Return a typed expression; nothing where it has a fault, which is noted."""
        try:
            return typing.read(text, self.language, self.types, wanted)
        except BadExpression as bad:
            self.refuse(path, f"{bad}{self._advice(text, wanted)}")
            return None

    def _advice(self, text: str, wanted: tuple[ValueType, ...]) -> str:
        """Return the end of a message where an expression is all right in the other language."""
        other = Language.CEXL if self.language is Language.CEL else Language.CEL
        try:
            typing.read(text, other, self.types, wanted)
        except BadExpression:
            return ""
        return f"; it is {other}, which the annotation {LANGUAGE_ANNOTATION}: {other} says"

    def refuse(self, path: str, message: str) -> None:
        """Note a fault at a path of the object."""
        self.faults.refuse(self.item, path, message)

    def reading(self, types: AttributeTypes) -> "Typist":
        """Return a typist for the same object whose expressions may read these attributes only."""
        return replace(self, types=types)


def typist_of(item: ConfigObject[Any], types: AttributeTypes, faults: Faults) -> Typist:
    """Return a typist for an object, in the language that the object says."""
    said = item.metadata.annotations.get(LANGUAGE_ANNOTATION, "CEXL")
    typist = Typist(item, LANGUAGES.get(said, Language.CEXL), types, faults)
    if said not in LANGUAGES:
        path = joined_path("metadata.annotations", LANGUAGE_ANNOTATION)
        typist.refuse(path, f"must be one of {', '.join(LANGUAGES)}, not {said}")
    return typist
