"""Instances: what is made of attributes for adapters, with every expression typed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, get_args, get_origin

from lateen.api.config_set import ConfigSet
from lateen.api.expressions.types import ValueType
from lateen.api.mixer import templates
from lateen.api.mixer.descriptions import TemplateDescription
from lateen.api.mixer.expression_fields import OUTPUT, Wants, binding_text
from lateen.api.mixer.instance import Instance
from lateen.api.mixer.templates import KubernetesInstance, TemplateKind, Variety
from lateen.api.objects import ConfigObject, joined_path
from lateen.api.structs import Struct, alias
from lateen.mixer import descriptors, references
from lateen.mixer.faults import FAULTY, Faults, Faulty
from lateen.mixer.manifests import AttributeTypes
from lateen.mixer.references import Shelf, short_name, whole_name
from lateen.mixer.rule_types import Binding, FieldPath, ResolvedInstance, TypedField
from lateen.mixer.typist import Typist, typist_of

Instances = Shelf[ResolvedInstance | Faulty]
_Described = Shelf[ConfigObject[TemplateDescription]]
_NO_OUTPUT: Mapping[str, ValueType] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Wording:
    """The fields of an instance as they are written; `params` is nothing for a template that is not built in."""

    template: str
    variety: Variety
    output: Mapping[str, ValueType]
    params: Struct | None
    raw: Mapping[str, Any]
    path: str
    bindings: Mapping[str, str]


def resolve_instances(config: ConfigSet, types: AttributeTypes, faults: Faults) -> Instances:
    """Return all instances by their whole names, those of the older kinds too."""
    described = references.shelf("template", ((item.key, item) for item in config.of(TemplateDescription)))
    found: dict[str, ResolvedInstance | Faulty] = {}
    for item in config.of(Instance):
        found[whole_name(item.key)] = _resolved(item, _wording(item, described, faults), types, faults)
    for row in templates.TEMPLATES:
        for older in config.of(row.spec):
            found[whole_name(older.key)] = _resolved(older, _older_wording(older, row), types, faults)
    return Shelf("instance", dict(sorted(found.items())))


def _older_wording(item: ConfigObject[Any], row: TemplateKind) -> _Wording:
    spec = item.spec
    bindings = spec.attribute_bindings if isinstance(spec, KubernetesInstance) else {}
    raw = json.loads(item.body).get("spec") or {}
    return _Wording(row.name, row.variety, row.output, spec, raw, "spec", bindings)


def _wording(item: ConfigObject[Any], described: _Described, faults: Faults) -> _Wording | None:
    spec: Instance = item.spec
    name = spec.compiled_template or spec.template
    if (row := templates.template(name)) is not None:
        params = (spec.fields, spec.params, "spec.params", spec.attribute_bindings)
        return _Wording(row.name, row.variety, row.output, *params)
    description: ConfigObject[Any] | None = described.find(name, item.namespace)
    if description is None:
        near = described.near(name, item.namespace)
        faults.miss(item, "spec.template", f"must name an object of the kind template, not {name}{near}")
        return None
    try:
        options = descriptors.template_options(description.spec.descriptor)
    except ValueError as error:
        faults.refuse(description, "spec.descriptor", str(error))
        return None
    return _Wording(name, options.variety, _NO_OUTPUT, None, spec.params, "spec.params", spec.attribute_bindings)


def _resolved(
    item: ConfigObject[Any], wording: _Wording | None, types: AttributeTypes, faults: Faults
) -> ResolvedInstance | Faulty:
    if wording is None:
        return FAULTY
    before = faults.count
    typist = typist_of(item, types, faults)
    fields = tuple(_fields(wording, typist))
    bindings = tuple(_bindings(wording, typist))
    if faults.count != before:
        return FAULTY
    return ResolvedInstance(
        whole_name(item.key),
        item,
        short_name(wording.template),
        wording.variety,
        fields,
        tuple(_map_fields(type(wording.params), ())) if wording.params is not None else (),
        bindings,
        wording.output,
    )


def _fields(wording: _Wording, typist: Typist) -> Iterator[TypedField]:
    if wording.params is not None:
        yield from _fields_of(wording.params, wording.raw, typist, (), wording.path)
    else:
        yield from _free_fields(wording.raw, typist, (), wording.path)


def _fields_of(
    params: Struct, raw: Mapping[str, Any], typist: Typist, at: FieldPath, path: str
) -> Iterator[TypedField]:
    for name, info in type(params).model_fields.items():
        value, written = getattr(params, name), spelling(raw, name)
        below = joined_path(path, written)
        if isinstance(value, Struct):
            inner = raw.get(written)
            yield from _fields_of(value, inner if isinstance(inner, Mapping) else {}, typist, (*at, name), below)
        elif value is not None and (wants := _wants(info.annotation, info.metadata)) is not None:
            yield from _values(value, wants, typist, (*at, name), below)


def _values(value: Any, wants: Wants, typist: Typist, at: FieldPath, path: str) -> Iterator[TypedField]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _values(value[key], wants, typist, (*at, key), joined_path(path, key))
    elif (typed := typist.typed(value, path, wants.types)) is not None:
        yield TypedField(at, path, value, typed)


def _free_fields(value: Any, typist: Typist, at: FieldPath, path: str) -> Iterator[TypedField]:
    """Yield the fields of a template that is not built in: all texts are expressions of any type."""
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _free_fields(value[key], typist, (*at, key), joined_path(path, key))
    elif isinstance(value, str):
        yield from _values(value, Wants(), typist, at, path)
    else:
        typist.refuse(path, "must be text that holds an expression")


def _bindings(wording: _Wording, typist: Typist) -> Iterator[Binding]:
    """Yield the attributes that the answers of a generator fill."""
    answers = typist.reading({f"{OUTPUT}.{name}": kind for name, kind in wording.output.items()})
    for name in sorted(wording.bindings):
        path = joined_path(written_path(typist.item, "spec", "attribute_bindings"), name)
        if name not in typist.types:
            typist.refuse(path, f"unknown attribute {name}: declare it in an attributemanifest")
            continue
        text = binding_text(wording.bindings[name])
        if (typed := answers.typed(text, path, (typist.types[name],))) is not None:
            yield Binding(name, typed)


def _map_fields(params: type[Struct], at: FieldPath) -> Iterator[FieldPath]:
    for name, info in params.model_fields.items():
        annotation: Any = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, Struct):
            yield from _map_fields(annotation, (*at, name))
        elif get_origin(annotation) is Mapping and _wants(annotation, info.metadata) is not None:
            yield (*at, name)


def _wants(annotation: Any, metadata: list[Any]) -> Wants | None:
    """Return which types the expressions of a field must have; nothing for fields without expressions."""
    for mark in metadata:
        if isinstance(mark, Wants):
            return mark
    for inner in get_args(annotation):
        marks = list(getattr(inner, "__metadata__", ()))
        if (found := _wants(getattr(inner, "__origin__", inner) if marks else inner, marks)) is not None:
            return found
    return None


def written_path(item: ConfigObject[Any], path: str, name: str) -> str:
    """Return the path of a field as the document spells it."""
    content = json.loads(item.body)
    for step in path.split("."):
        content = content.get(step) or {}
    return joined_path(path, spelling(content, name))


def spelling(content: Mapping[str, Any], name: str) -> str:
    """Return a field's name as a document spells it: ours, or that in camelCase."""
    return name if name in content else alias(name)
