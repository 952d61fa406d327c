"""What rules, instances and handlers are once their names and types are resolved."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lateen.api.expressions.types import ValueType
from lateen.api.fields import EMPTY_MAP
from lateen.api.mixer.adapters import AdapterKind
from lateen.api.mixer.handler import Connection
from lateen.api.mixer.rule import Operation, Rule
from lateen.api.mixer.structs import AdapterParams
from lateen.api.mixer.templates import Variety
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.mixer.typing import Typed

FieldPath = tuple[str, ...]
"""Where a field is in an instance: `("value",)`, `("dimensions", "source")`, `("subject", "user")`."""


@dataclass(frozen=True, slots=True)
class ResolvedHandler:
    """An adapter with its settings; `name` is its whole name.

    A built-in adapter has `kind` and `settings`. One in a process of its own has `description`, the object that
    describes it, with `params` as they are written and the `connection` to it.
    """

    name: str
    written: ConfigObject[Struct]
    adapter: str
    templates: tuple[str, ...]
    kind: AdapterKind | None = None
    settings: AdapterParams | None = None
    description: ConfigObject[Struct] | None = None
    params: Mapping[str, object] = EMPTY_MAP
    connection: Connection | None = None

    @property
    def is_built_in(self) -> bool:
        """Whether Lateen has the adapter itself."""
        return self.kind is not None


@dataclass(frozen=True, slots=True)
class TypedField:
    """A field of an instance: where it is in the template, the path of its text in the object, and its expression."""

    at: FieldPath
    path: str
    text: str
    typed: Typed


@dataclass(frozen=True, slots=True)
class Binding:
    """An attribute that an answer of a generator fills; the expression reads `output.FIELD`."""

    attribute: str
    typed: Typed


@dataclass(frozen=True, slots=True)
class ResolvedInstance:
    """What is made for an adapter; `name` is its whole name, and `short_name` what QuotaSpecs call it.

    `maps` are the fields that are maps, also where nothing is written into them.
    """

    name: str
    written: ConfigObject[Struct]
    template: str
    variety: Variety
    fields: tuple[TypedField, ...] = ()
    maps: tuple[FieldPath, ...] = ()
    bindings: tuple[Binding, ...] = ()
    output: Mapping[str, ValueType] = field(default_factory=dict)

    @property
    def short_name(self) -> str:
        """The name of the object."""
        return self.written.name


@dataclass(frozen=True, slots=True)
class ResolvedAction:
    """Instances for a handler; `path` is where the action stands in its rule."""

    handler: ResolvedHandler
    instances: tuple[ResolvedInstance, ...]
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class HeaderChange:
    """What is done to a header, with typed values; `path` is where it stands in its rule."""

    name: str
    operation: Operation
    values: tuple[Typed, ...]
    path: str


@dataclass(frozen=True, slots=True)
class ResolvedRule:
    """A rule whose names and types are all right; `match` is nothing where it always holds.

    `is_mesh_wide` is a rule of the root namespace. Of another namespace, a rule concerns what that receives, and what
    it sends as far as the proxies of callers tell.
    """

    name: str
    written: ConfigObject[Rule]
    match: Typed | None = None
    actions: tuple[ResolvedAction, ...] = ()
    request_headers: tuple[HeaderChange, ...] = ()
    response_headers: tuple[HeaderChange, ...] = ()
    is_mesh_wide: bool = False

    @property
    def namespace(self) -> str:
        """The namespace of the object."""
        return self.written.namespace

    def concerns(self, namespace: str) -> bool:
        """Tell whether the rule is asked for traffic of a namespace."""
        return self.is_mesh_wide or self.namespace == namespace
