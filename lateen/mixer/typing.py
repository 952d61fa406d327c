"""The types of expressions: every expression has one before it is ever evaluated, or is refused.

The tree that comes back means the same in both languages: attributes have their names of today, entries of maps are
indexes, and a text that reads as a duration is text where text is needed.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from lateen.api.expressions import cel, cexl
from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import (
    COMPARISONS,
    Attribute,
    Call,
    Constant,
    ConstantKind,
    Index,
    Language,
    ListOf,
    MapOf,
    Node,
    Select,
)
from lateen.api.expressions.types import ValueType
from lateen.mixer import constructors
from lateen.mixer.attributes import current_name
from lateen.mixer.functions import BOOL, COMPARABLE, DURATION, MAP, ORDERED, SIGNATURES, STRING, Signature
from lateen.mixer.manifests import AttributeTypes

_CONSTANTS: Final = MappingProxyType(
    {
        ConstantKind.BOOL: ValueType.BOOL,
        ConstantKind.INT: ValueType.INT64,
        ConstantKind.FLOAT: ValueType.DOUBLE,
        ConstantKind.STRING: ValueType.STRING,
        ConstantKind.DURATION: ValueType.DURATION,
    }
)


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression that can be evaluated to a value of its type, or to nothing where an attribute is absent."""

    root: Node
    type: ValueType


def read(text: str, language: Language, types: AttributeTypes, wanted: tuple[ValueType, ...] = ()) -> Typed:
    """Return a text as a typed expression; raises `BadExpression`. `wanted` are the types that may come out."""
    root = cel.parse(text) if language is Language.CEL else cexl.parse(text)
    typed = _Typing(language, types).of(root)
    if wanted and typed.type not in wanted:
        typed = _as_text(typed) if STRING in wanted else typed
        if typed.type not in wanted:
            raise BadExpression(f"must be a {' or '.join(wanted)}, not a {typed.type}", typed.root.position)
    return typed


def type_of(root: Node, types: AttributeTypes) -> ValueType:
    """Return the type of a part of a tree that has been typed before."""
    return _Typing(Language.CEL, types).of(root).type


def _as_text(typed: Typed) -> Typed:
    """Return a duration that stands in the text itself as the text that it was written as."""
    root = typed.root
    if isinstance(root, Constant) and root.kind is ConstantKind.DURATION:
        return Typed(Constant(ConstantKind.STRING, root.text, position=root.position), STRING)
    return typed


@dataclass(frozen=True, slots=True)
class _Typing:
    language: Language
    types: AttributeTypes

    def of(self, node: Node) -> Typed:
        """Return a node with its type."""
        match node:
            case Constant():
                return self._constant(node)
            case Attribute():
                return self._attribute(node)
            case Index():
                return self._entry(node)
            case Select(operand=operand, name=name):
                return self.of(Index(operand, Constant(ConstantKind.STRING, name, position=node.position)))
            case MapOf():
                return self._map(node)
            case ListOf():
                raise BadExpression("must stand behind in: a list is no value of its own", node.position)
            case Call():
                return self._call(node)

    def _constant(self, constant: Constant) -> Typed:
        kind = _CONSTANTS.get(constant.kind)
        if kind is None:
            raise BadExpression(f"must not contain a constant of the kind {constant.kind}", constant.position)
        return Typed(constant, kind)

    def _attribute(self, attribute: Attribute) -> Typed:
        name = current_name(attribute.name)
        if name in self.types:
            return Typed(Attribute(name, attribute.position), self.types[name])
        before, _, key = attribute.name.rpartition(".")
        if self.types.get(current_name(before)) is not MAP:
            raise BadExpression(f"unknown attribute {attribute.name}{self._near(attribute.name)}", attribute.position)
        if self.language is Language.CEXL:
            raise BadExpression(f'must be written {before}["{key}"], as the entry of a map', attribute.position)
        key_node = Constant(ConstantKind.STRING, key, position=attribute.position)
        return Typed(Index(Attribute(current_name(before), attribute.position), key_node, attribute.position), STRING)

    def _near(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.types, n=1)
        return f"; did you mean {near[0]}?" if near else ""

    def _entry(self, index: Index) -> Typed:
        operand = self.of(index.operand)
        if operand.type is not MAP:
            raise BadExpression(f"must index a {MAP}, not a {operand.type}", index.position)
        key = _as_text(self.of(index.key))
        if key.type is not STRING:
            raise BadExpression(f"must have a {STRING} as the key, not a {key.type}", key.root.position)
        return Typed(Index(operand.root, key.root, index.position), STRING)

    def _map(self, node: MapOf) -> Typed:
        entries = []
        for entry in node.entries:
            key, value = (_as_text(self.of(part)) for part in entry)
            if (key.type, value.type) != (STRING, STRING):
                raise BadExpression("must be a map of text to text", key.root.position)
            entries.append((key.root, value.root))
        return Typed(MapOf(tuple(entries), node.position), MAP)

    def _call(self, call: Call) -> Typed:
        if call.receiver is None and (special := _SPECIAL.get(call.function)):
            return special(self, call)
        signatures = [each for each in SIGNATURES.get(call.function, ()) if self.language in each.languages]
        if not signatures:
            raise BadExpression(f"unknown function {call.function}", call.position)
        receiver = self.of(call.receiver) if call.receiver is not None else None
        arguments = tuple(map(self.of, call.arguments))
        for signature in signatures:
            if (fitted := _fitted(call, signature, receiver, arguments)) is not None:
                constructors.check_literals(fitted)
                return Typed(fitted, signature.result)
        raise BadExpression(_misfit(call, signatures, receiver, arguments), call.position)

    def _logic(self, call: Call) -> Typed:
        operands = tuple(map(self.of, call.arguments))
        for operand in operands:
            if operand.type is not BOOL:
                raise BadExpression(f"{call.function} must join {BOOL}s, not a {operand.type}", operand.root.position)
        return Typed(replace(call, arguments=tuple(operand.root for operand in operands)), BOOL)

    def _comparison(self, call: Call) -> Typed:
        operands = self._alike(call, call.arguments)
        kind = operands[0].type
        if kind not in (COMPARABLE if call.function in ("==", "!=") else ORDERED):
            raise BadExpression(f"{call.function} must not compare a {kind}", call.position)
        return Typed(replace(call, arguments=tuple(operand.root for operand in operands)), BOOL)

    def _pick(self, call: Call) -> Typed:
        operands = self._alike(call, call.arguments)
        return Typed(replace(call, arguments=tuple(operand.root for operand in operands)), operands[0].type)

    def _choice(self, call: Call) -> Typed:
        if len(call.arguments) != 3:
            raise BadExpression("must give conditional a condition and two values", call.position)
        condition = self.of(call.arguments[0])
        if condition.type is not BOOL:
            raise BadExpression(f"must have a {BOOL} as the condition, not a {condition.type}", condition.root.position)
        chosen = self._alike(call, call.arguments[1:])
        if call.function == "conditionalString" and (chosen := tuple(map(_as_text, chosen)))[0].type is not STRING:
            raise BadExpression(f"must choose between {STRING}s, not {chosen[0].type}s", call.position)
        parts = (condition.root, *(each.root for each in chosen))
        return Typed(Call("conditional", parts, position=call.position), chosen[0].type)

    def _alike(self, call: Call, nodes: tuple[Node, ...]) -> tuple[Typed, ...]:
        """Return operands that must have one type, durations as text where the others are text."""
        operands = tuple(map(self.of, nodes))
        if any(operand.type is STRING for operand in operands):
            operands = tuple(map(_as_text, operands))
        for operand in operands[1:]:
            if operand.type is not operands[0].type:
                message = (
                    f"{call.function} must be between values of one type, not {operands[0].type} and {operand.type}"
                )
                raise BadExpression(message, operand.root.position)
        return operands

    def _membership(self, call: Call) -> Typed:
        self._cel_only(call)
        item, container = call.arguments
        if isinstance(container, ListOf):
            operands = self._alike(call, (item, *container.items))
            if operands[0].type not in COMPARABLE:
                raise BadExpression(f"in must not compare a {operands[0].type}", call.position)
            listed = ListOf(tuple(operand.root for operand in operands[1:]), container.position)
            return Typed(replace(call, arguments=(operands[0].root, listed)), BOOL)
        key, mapping = _as_text(self.of(item)), self.of(container)
        if (key.type, mapping.type) != (STRING, MAP):
            raise BadExpression(f"must be a {STRING} in a {MAP} or in a list", call.position)
        return Typed(replace(call, arguments=(key.root, mapping.root)), BOOL)

    def _presence(self, call: Call) -> Typed:
        self._cel_only(call)
        if len(call.arguments) != 1:
            raise BadExpression("must give has() one attribute", call.position)
        operand = self.of(call.arguments[0])
        if not isinstance(operand.root, Attribute | Index):
            raise BadExpression("must give has() an attribute or an entry of a map", call.position)
        return Typed(replace(call, arguments=(operand.root,)), BOOL)

    def _cel_only(self, call: Call) -> None:
        if self.language is not Language.CEL:
            raise BadExpression(f"unknown function {call.function}", call.position)


_SPECIAL: Final[MappingProxyType[str, Callable[[_Typing, Call], Typed]]] = MappingProxyType(
    {
        **dict.fromkeys(("&&", "||"), _Typing._logic),
        **dict.fromkeys(COMPARISONS, _Typing._comparison),
        **dict.fromkeys(("conditional", "conditionalString"), _Typing._choice),
        "|": _Typing._pick,
        "in": _Typing._membership,
        "has": _Typing._presence,
    }
)


def _fitted(call: Call, signature: Signature, receiver: Typed | None, arguments: tuple[Typed, ...]) -> Call | None:
    """Return the call with its typed operands if the signature takes them."""
    if (receiver is None) != (signature.receiver is None) or len(arguments) != len(signature.arguments):
        return None
    fitted = tuple(map(_converted, arguments, signature.arguments))
    before = _converted(receiver, signature.receiver) if receiver is not None and signature.receiver else None
    if None in fitted or (receiver is not None and before is None):
        return None
    return Call(
        call.function,
        tuple(each.root for each in fitted if each is not None),
        before.root if before is not None else None,
        call.position,
    )


def _converted(typed: Typed, wanted: ValueType) -> Typed | None:
    if typed.type is wanted:
        return typed
    text = _as_text(typed)
    return text if text.type is wanted and typed.type is DURATION else None


def _misfit(call: Call, signatures: list[Signature], receiver: Typed | None, arguments: tuple[Typed, ...]) -> str:
    before = f"{receiver.type}." if receiver is not None else ""
    given = f"{before}({', '.join(each.type for each in arguments)})"
    return f"{call.function} must be used as {' or '.join(map(str, signatures))}, not as {given}"
