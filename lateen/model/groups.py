"""WorkloadGroups: the WorkloadEntry that stands for a member, and the member as the mesh sees it then.

As in Istio, what a workload says of itself wins over what its group says, and of its group `metadata` over `template`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final, NamedTuple

from lateen.api import kinds
from lateen.api.networking.workload_entry import WorkloadEntry
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.api.objects import ConfigObject, Metadata, ObjectKey, canonical_json
from lateen.model.workload import Locality, Workload

GROUP_VARIABLE: Final = "ISTIO_META_AUTO_REGISTER_GROUP"
"""The variable of a proxy's environment that names the group of its namespace."""

NETWORK_VARIABLE: Final = "ISTIO_META_NETWORK"
GROUP_ANNOTATION: Final = "istio.io/autoRegistrationGroup"
HEALTH_ANNOTATION: Final = "proxy.istio.io/health-checks-enabled"
_LONGEST_NAME: Final = 253

Group = ConfigObject[WorkloadGroup]


class Contradiction(NamedTuple):
    """A field of a group that one of its members contradicts, and what comes of it."""

    path: str
    message: str


def entry_name(group: str, address: str, network: str = "") -> str:
    """Return the name that Istio gives to the WorkloadEntry of a member; what is too long loses its beginning."""
    parts = (group, address.replace(":", "-"), *((network,) if network else ()))
    return "-".join(parts)[-_LONGEST_NAME:]


def entry_key(workload: Workload, group: str) -> ObjectKey:
    """Return the key of the WorkloadEntry that stands for a member."""
    return named_entry(workload.key.namespace, entry_name(group, workload.address, workload.network))


def named_entry(namespace: str, name: str) -> ObjectKey:
    """Return the key of a WorkloadEntry."""
    row = kinds.of_spec(WorkloadEntry)
    return ObjectKey(row.group, row.kind, namespace, name)


def registered(workload: Workload, group: Group, *, was_offered_unasked: bool = False) -> Workload:
    """Return a member as the mesh sees it while a WorkloadEntry stands for it.

    Where the group has a probe, the member is healthy once it has succeeded. One that was an endpoint before there was
    a probe (`was_offered_unasked`) stays healthy until the probe has failed.
    """
    known, spec = workload.membership, group.spec.template
    if known is None:
        return workload
    is_healthy = known.verdict.healthy if known.verdict is not None else was_offered_unasked
    return replace(
        workload,
        labels={**_labels(group), **workload.labels},
        locality=workload.locality if any(workload.locality) else Locality.parse(spec.locality),
        network=workload.network or spec.network,
        weight=spec.weight or workload.weight,
        membership=replace(
            known,
            entry=entry_key(workload, group.name).name,
            healthy=group.spec.probe is None or is_healthy,
            ports=spec.ports,
        ),
    )


def entry_of(workload: Workload, group: Group, facts: Mapping[str, str], created: str) -> ConfigObject[WorkloadEntry]:
    """Return the WorkloadEntry that stands for a member, with `facts` as further annotations.

    `workload` is the member as `registered` returns it. `created` is a time as Kubernetes writes it.
    """
    known, row = workload.membership, kinds.of_spec(WorkloadEntry)
    assert known is not None, "only members have entries"
    written = group.spec.metadata.annotations if group.spec.metadata is not None else {}
    checked = {HEALTH_ANNOTATION: "true"} if group.spec.probe is not None else {}
    metadata = Metadata(
        labels=workload.labels,
        annotations={GROUP_ANNOTATION: group.name, **written, **checked, **facts},
        creation_timestamp=created,
    )
    spec = WorkloadEntry(
        address=workload.address,
        ports=known.ports,
        labels=workload.labels,
        network=workload.network,
        locality="/".join(filter(None, workload.locality)),
        weight=group.spec.template.weight,
        service_account=workload.service_account,
    )
    key = named_entry(workload.key.namespace, known.entry)
    body = canonical_json(_document(key, row.api_versions[0], metadata, spec, group))
    return ConfigObject(key, row.api_versions[0], metadata, spec, group.source, body)


def contradictions(workload: Workload, group: Group) -> Iterator[Contradiction]:
    """Yield what a group says of a member that is not so, as the platform describes the member."""
    spec = group.spec.template
    if spec.service_account and spec.service_account != workload.service_account:
        yield Contradiction(
            "spec.template.serviceAccount",
            f"{_named(workload)} runs as {workload.service_account}, which its certificate says and clients ask for, "
            f"not as {spec.service_account}: give both the same account",
        )
    for name, value in _labels(group).items():
        own = workload.labels.get(name, value)
        if own != value:
            place = "metadata" if group.spec.metadata and name in group.spec.metadata.labels else "template"
            yield Contradiction(
                f"spec.{place}.labels.{name}",
                f"{_named(workload)} has the label {name}={own} itself, which counts, not {value}: leave one out",
            )
    for name, number in spec.ports.items():
        own_number = workload.ports.get(name, number)
        if own_number != number:
            yield Contradiction(
                f"spec.template.ports.{name}",
                f"{_named(workload)} calls its port {own_number} {name}; what services send to ports of that name goes "
                f"to {number}, as is written here: make them the same",
            )
    if spec.locality and any(workload.locality) and workload.locality != Locality.parse(spec.locality):
        own = "/".join(filter(None, workload.locality))
        yield Contradiction(
            "spec.template.locality",
            f"{_named(workload)} says that it is at {own}, which counts, not {spec.locality}: leave one of them out",
        )
    if spec.network and workload.network and workload.network != spec.network:
        yield Contradiction(
            "spec.template.network",
            f"{_named(workload)} says that it is in network {workload.network}, which counts, not {spec.network}: "
            "leave one of them out",
        )


def _labels(group: Group) -> Mapping[str, str]:
    metadata = group.spec.metadata
    return {**group.spec.template.labels, **(metadata.labels if metadata is not None else {})}


def _named(workload: Workload) -> str:
    return f"member {workload.owner or workload.key.name}"


def _document(
    key: ObjectKey, api_version: str, metadata: Metadata, spec: WorkloadEntry, group: Group
) -> dict[str, Any]:
    written = json.loads(spec.model_dump_json(by_alias=True, exclude_defaults=True))
    owner = {"apiVersion": group.api_version, "kind": group.key.kind, "name": group.name, "controller": True}
    told = {
        "name": key.name,
        "namespace": key.namespace,
        "labels": dict(metadata.labels),
        "annotations": dict(metadata.annotations),
        "creationTimestamp": metadata.creation_timestamp,
        "ownerReferences": [owner],
    }
    return {"apiVersion": api_version, "kind": key.kind, "metadata": told, "spec": written}
