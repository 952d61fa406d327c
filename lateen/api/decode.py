"""The door of the API: text and mappings in, config objects and violations out; and the way back."""

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from lateen.api import kinds
from lateen.api.core.config_map import ConfigMap
from lateen.api.core.metadata import ObjectMeta
from lateen.api.documents import Document, read_documents
from lateen.api.fields import is_label, is_subdomain
from lateen.api.mesh import doubts, settings
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.nodes import MAX_DEPTH
from lateen.api.objects import (
    NOWHERE,
    ConfigObject,
    FieldLines,
    Metadata,
    ObjectKey,
    Source,
    canonical_json,
    joined_path,
    paths,
)
from lateen.api.parsing import Fault, near, parse
from lateen.api.structs import OpenStruct, Struct, unknown_fields
from lateen.api.violations import Severity, Violation

DEFAULT_NAMESPACE: Final = "default"


@dataclass(frozen=True, slots=True)
class Decoded:
    """What came through the door: the objects without errors, and every violation of all documents."""

    objects: tuple[ConfigObject[Struct], ...] = ()
    violations: tuple[Violation, ...] = ()

    @property
    def errors(self) -> tuple[Violation, ...]:
        """The violations that kept an object out."""
        return tuple(violation for violation in self.violations if violation.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Violation, ...]:
        """The violations that did not."""
        return tuple(violation for violation in self.violations if violation.severity is Severity.WARNING)


def decode_yaml(text: str, file: str = "", default_namespace: str = DEFAULT_NAMESPACE) -> Decoded:
    """Return all objects of a YAML or JSON text, and all violations with file and line.

    Never raises for bad input: a document that cannot be read, or that is not valid, is left out and named by a
    violation.
    """
    parts: list[ConfigObject[Struct] | Violation] = []
    for part in read_documents(text, file):
        parts.extend([part] if isinstance(part, Violation) else _decode_document(part, default_namespace))
    return combine([_decoded(parts)])


def decode_mapping(
    content: Mapping[str, Any], source: Source = NOWHERE, default_namespace: str = DEFAULT_NAMESPACE
) -> Decoded:
    """Return the object, or the objects of a `List`, that a JSON-like mapping says: a request's body or what was kept
    on disk.
    """
    if _is_deeper(content, MAX_DEPTH):
        return Decoded((), (Violation("", f"must be nested at most {MAX_DEPTH} deep", source=source),))
    items = content.get("items")
    if content.get("kind") == "List" and isinstance(items, list | tuple):
        return combine(_decode_item(item, source, default_namespace) for item in items)
    return _decode_item(content, source, default_namespace)


def combine(decoded: Iterable[Decoded]) -> Decoded:
    """Return several inputs as one; of objects with the same key the first stays, and each later one is a violation
    that names both places.
    """
    first: dict[ObjectKey, ConfigObject[Struct]] = {}
    violations: list[Violation] = []
    for part in decoded:
        violations.extend(part.violations)
        for item in part.objects:
            known = first.setdefault(item.key, item)
            if known is not item:
                violations.append(_duplicate(item, known))
    return Decoded(tuple(first.values()), tuple(violations))


def encode(item: ConfigObject[Struct]) -> dict[str, Any]:
    """Return an object as a JSON-like mapping that decodes to an equal object, in the order people write it."""
    content: dict[str, Any] = json.loads(item.body)
    leading = {name: content.pop(name) for name in ("apiVersion", "kind", "metadata") if name in content}
    return leading | content


def encode_yaml(items: Iterable[ConfigObject[Struct]]) -> str:
    """Return objects as a YAML text that decodes to equal objects."""
    return yaml_text(map(encode, items))


def yaml_text(documents: Iterable[Mapping[str, Any]]) -> str:
    """Return documents as people write them."""
    text: str = yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True, width=120)
    return text


def _decode_item(content: Any, source: Source, default_namespace: str) -> Decoded:
    if isinstance(content, Mapping):
        content = {name: value for name, value in content.items() if name != "status"}
    return _decoded(_decode_document(Document(content, source.file, source.line, array("I")), default_namespace))


def _decoded(parts: Iterable[ConfigObject[Struct] | Violation]) -> Decoded:
    parts = list(parts)
    return Decoded(
        tuple(part for part in parts if isinstance(part, ConfigObject)),
        tuple(part for part in parts if isinstance(part, Violation)),
    )


def _decode_document(document: Document, default_namespace: str) -> Iterator[ConfigObject[Struct] | Violation]:
    """Yield the document's object if nothing is wrong with it, and everything that is."""
    content = document.content
    where = Source(document.file, document.line)
    if not isinstance(content, dict):
        yield Violation("", "must be a mapping with apiVersion, kind and metadata", source=where)
        return
    row, faults = _row(content)
    if row is None:
        yield from _violations(faults, document, _subject(content, default_namespace, namespaced=True))
        return
    _fill_namespace(document, row, default_namespace)
    subject = _subject(content, default_namespace, row.namespaced)
    metadata, metadata_faults = _metadata(content, row)
    spec, spec_faults = _spec(content, row)
    faults = (*metadata_faults, *spec_faults)
    if metadata is None or spec is None or faults:
        yield from _violations(faults, document, subject)
        return
    yield from _violations(_warnings(spec, metadata), document, subject, Severity.WARNING)
    yield _object(document, row, metadata, spec)


def _row(content: dict[str, Any]) -> tuple[kinds.Kind | None, tuple[Fault, ...]]:
    faults = []
    for field, example in (("apiVersion", "networking.istio.io/v1"), ("kind", "VirtualService")):
        if not isinstance(content.get(field), str) or not content[field]:
            faults.append(Fault(field, f"must be set, like {example}"))
    if faults:
        return None, tuple(faults)
    row = kinds.of_document(content["apiVersion"], content["kind"])
    return row, () if row else (_unknown_kind(content["apiVersion"], content["kind"]),)


def _unknown_kind(api_version: str, kind: str) -> Fault:
    return Fault("", kinds.explain_unknown(api_version, kind))


def _subject(content: dict[str, Any], default_namespace: str, namespaced: bool) -> str:
    """Return what a message calls the object, as far as the document says."""
    metadata = content.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    kind = content.get("kind")
    if not isinstance(kind, str) or not isinstance(name, str):
        return kind if isinstance(kind, str) else ""
    namespace = metadata.get("namespace") or default_namespace if namespaced and isinstance(metadata, dict) else ""
    return str(ObjectKey("", kind, str(namespace), name))


def _fill_namespace(document: Document, row: kinds.Kind, default_namespace: str) -> None:
    """Write the namespace down where the document leaves it out, so that the object means the same wherever it is
    read again.
    """
    metadata = document.content.get("metadata")
    if row.namespaced and isinstance(metadata, dict) and metadata.get("namespace") is None:
        known = "namespace" in metadata
        metadata["namespace"] = default_namespace
        if document.lines and not known:
            order = list(_until(document.content, "metadata.namespace"))
            document.lines.insert(len(order), document.lines[order.index("metadata")])


def _until(content: dict[str, Any], last: str) -> Iterator[str]:
    for path in paths(content):
        if path == last:
            return
        yield path


def _metadata(content: dict[str, Any], row: kinds.Kind) -> tuple[ObjectMeta | None, tuple[Fault, ...]]:
    given = content.get("metadata")
    if not isinstance(given, dict):
        return None, (Fault("metadata", "must be a mapping with at least a name"),)
    metadata = parse(ObjectMeta, given, "metadata")
    if isinstance(metadata, tuple):
        return None, metadata
    return metadata, tuple(_name_faults(metadata, row))


def _name_faults(metadata: ObjectMeta, row: kinds.Kind) -> Iterator[Fault]:
    if metadata.generate_name:
        yield Fault(
            "metadata.generateName", "must not be used: give every object a name, so that it can be changed later"
        )
    if not metadata.name:
        if not metadata.generate_name:
            yield Fault("metadata.name", "must be set")
    elif row.name_is_label and not is_label(metadata.name):
        yield Fault(
            "metadata.name",
            f"must be at most 63 lower-case letters, digits and -, with no - at the ends, not {metadata.name!r}",
        )
    elif not is_subdomain(metadata.name):
        yield Fault(
            "metadata.name",
            f"must be lower-case letters, digits, - and ., with a letter or digit at the ends, not {metadata.name!r}",
        )
    if row.namespaced and not is_label(metadata.namespace):
        yield Fault("metadata.namespace", f"must be lower-case letters, digits and -, not {metadata.namespace!r}")
    if metadata.namespace and not row.namespaced:
        yield Fault("metadata.namespace", f"must not be set: a {row.kind} belongs to the whole mesh")


_ENVELOPE: Final = ("apiVersion", "kind", "metadata", "status")


def _spec(content: dict[str, Any], row: kinds.Kind) -> tuple[Struct | None, tuple[Fault, ...]]:
    if row.body is kinds.Body.ROOT:
        spec = parse(row.spec, {name: value for name, value in content.items() if name not in _ENVELOPE})
        strays: tuple[Fault, ...] = ()
    else:
        given = content.get("spec")
        spec = parse(row.spec, {} if given is None else given, "spec")
        known = [*_ENVELOPE[:3], "spec"]
        strays = tuple(
            Fault(name, f"unknown field{near(name, known)}")
            for name in content
            if name not in known and name != "status"
        )
    if isinstance(spec, tuple):
        return None, (*strays, *spec)
    if isinstance(spec, ConfigMap):
        return spec, _mesh_faults(spec, content)
    return spec, strays


def _mesh_faults(config_map: ConfigMap, content: dict[str, Any]) -> tuple[Fault, ...]:
    """Return what is wrong with the mesh settings inside Istio's ConfigMap; other ConfigMaps hold what they like."""
    metadata = content.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("name") != settings.CONFIG_MAP_NAME:
        return ()
    read = settings.read_mesh_config(config_map.data.get(settings.CONFIG_MAP_KEY, ""))
    if isinstance(read, MeshConfig):
        return ()
    path = joined_path("data", settings.CONFIG_MAP_KEY)
    return tuple(Fault(joined_path(path, fault.path) if fault.path else path, fault.message) for fault in read)


def _warnings(spec: Struct, metadata: ObjectMeta) -> Iterator[Fault]:
    """Yield what is legal but will not be done."""
    if isinstance(spec, MeshConfig):
        yield from (Fault(f"spec.{fault.path}", fault.message) for fault in doubts.of_mesh(spec))
    elif isinstance(spec, ConfigMap) and metadata.name == settings.CONFIG_MAP_NAME:
        read = settings.read_mesh_config(spec.data.get(settings.CONFIG_MAP_KEY, ""))
        path = joined_path("data", settings.CONFIG_MAP_KEY)
        found = doubts.of_mesh(read) if isinstance(read, MeshConfig) else ()
        yield from (Fault(joined_path(path, fault.path), fault.message) for fault in found)
    elif isinstance(spec, OpenStruct):
        for name in unknown_fields(spec):
            yield Fault(f"spec.{name}", "unknown setting, kept without effect")


def _violations(
    faults: Iterable[Fault], document: Document, subject: str, severity: Severity = Severity.ERROR
) -> Iterator[Violation]:
    source = _source(document, canonical_json(document.content))
    for fault in faults:
        yield Violation(fault.path, fault.message, severity, source, subject)


def _object(document: Document, row: kinds.Kind, metadata: ObjectMeta, spec: Struct) -> ConfigObject[Struct]:
    body = canonical_json(document.content)
    return ConfigObject(
        ObjectKey(row.group, row.kind, metadata.namespace, metadata.name),
        document.content["apiVersion"],
        Metadata(metadata.labels, metadata.annotations, metadata.creation_timestamp, metadata.uid),
        spec,
        _source(document, body),
        body,
    )


def _source(document: Document, body: bytes) -> Source:
    if not document.lines:
        return Source(document.file, document.line)
    return Source(document.file, document.line, FieldLines(body, document.lines))


def _duplicate(item: ConfigObject[Struct], known: ConfigObject[Struct]) -> Violation:
    elsewhere = f" at {place}" if (place := known.source.place()) else ""
    return Violation(
        "", f"must be defined once: it is already defined{elsewhere}", source=item.source, subject=str(item.key)
    )


def _is_deeper(content: Any, depth: int) -> bool:
    if depth < 0:
        return True
    below = content.values() if isinstance(content, Mapping) else content if isinstance(content, list | tuple) else ()
    return any(_is_deeper(item, depth - 1) for item in below)
