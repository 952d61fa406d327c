"""Who is behind an address, an identity or a port, in the words of the vocabulary."""

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final

from lateen.api.fields import EMPTY_MAP
from lateen.mixer.values import Value
from lateen.model import registry
from lateen.model.service import Service
from lateen.model.workload import Workload, WorkloadKey
from lateen.model.workloads import Workloads
from lateen.names import Identity

Facts = Mapping[str, Value]
"""What is known of one workload or service, by the names that `attributes.Origin.fact` uses."""

NOTHING_KNOWN: Final[Facts] = EMPTY_MAP
_UID: Final = "kubernetes://"
_ORDINAL: Final = re.compile(r"-\d+")


class Directory:
    """The workloads and services of the mesh at one version; knows facts for `ports.WorkloadFacts` too."""

    def __init__(self, workloads: Workloads, services: Iterable[Service], trust_domain: str) -> None:
        self._trust_domain = trust_domain
        self._workloads = workloads
        self._by_address = {workload.address: workload for workload in workloads}
        self._services: dict[str, list[Service]] = {}
        for service in services:
            self._services.setdefault(service.namespace, []).append(service)
        self._facts: dict[WorkloadKey, Facts] = {}
        self._reached: dict[tuple[WorkloadKey, int], Facts] = {}

    def at(self, address: str) -> Workload | None:
        """Find the workload with an address."""
        return self._by_address.get(address)

    def instance(self, namespace: str, name: str) -> Workload | None:
        """Find a workload by its name."""
        return self._workloads.get(WorkloadKey(namespace, name))

    def facts(self, workload: Workload | None) -> Facts:
        """Return what is known of a workload; nothing of none."""
        if workload is None:
            return NOTHING_KNOWN
        known = self._facts.get(workload.key)
        if known is None:
            known = self._facts[workload.key] = facts_of(workload, self._trust_domain)
        return known

    def reached(self, workload: Workload | None, port: int) -> Facts:
        """Return what is known of the service through which a workload is called at a port."""
        if workload is None:
            return NOTHING_KNOWN
        known = self._reached.get((workload.key, port))
        if known is None:
            found = service_at(self._services.get(workload.key.namespace, ()), workload, port)
            known = self._reached[workload.key, port] = service_facts(found) if found else NOTHING_KNOWN
        return known

    def by_uid(self, uid: str) -> Facts:
        """Return the facts of the instance `kubernetes://POD.NAMESPACE`; none for an unknown one."""
        name, _, namespace = uid.removeprefix(_UID).rpartition(".")
        return self.facts(self.instance(namespace, name)) if uid.startswith(_UID) else NOTHING_KNOWN

    def by_address(self, address: str) -> Facts:
        """Return the facts of the instance with this address; none for an unknown one."""
        return self.facts(self.at(address))


def facts_of(workload: Workload, trust_domain: str) -> Facts:
    """Return the facts of a workload instance."""
    namespace, name = workload.key
    owner = workload.owner or name
    return {
        "uid": f"{_UID}{name}.{namespace}",
        "name": name,
        "namespace": namespace,
        "labels": workload.labels,
        "owner": f"kubernetes://apis/{_owner_path(workload)}",
        "workload.uid": f"istio://{namespace}/workloads/{owner}",
        "workload.name": owner,
        "workload.namespace": namespace,
        "ip": ip_address(workload.address),
        "service_account": workload.service_account,
        "principal": Identity(trust_domain, namespace, workload.service_account).principal,
    }


def service_facts(service: Service) -> Facts:
    """Return the facts of a service."""
    name = service.host.split(".", 1)[0]
    return {
        "host": service.host,
        "uid": f"istio://{service.namespace}/services/{name}",
        "name": name,
        "namespace": service.namespace,
    }


def service_at(services: Iterable[Service], workload: Workload, port: int) -> Service | None:
    """Choose the service through which a workload is called at a port of its own: the first by host."""
    reaching = (
        service
        for service in services
        if service.namespace == workload.key.namespace
        and registry.selects(service.selector, workload.labels)
        and any(_target(each.target, workload) == port for each in service.ports)
    )
    return min(reaching, key=lambda service: service.host, default=None)


def _target(target: int | str, workload: Workload) -> int | None:
    return target if isinstance(target, int) else workload.ports.get(target)


def _owner_path(workload: Workload) -> str:
    """Say what controls an instance, as far as its name tells: a StatefulSet counts its pods."""
    namespace, name = workload.key
    if workload.owner in ("", name):
        return f"v1/namespaces/{namespace}/pods/{name}"
    counted = name.startswith(workload.owner) and _ORDINAL.fullmatch(name.removeprefix(workload.owner))
    kind = "statefulsets" if counted else "deployments"
    return f"apps/v1/namespaces/{namespace}/{kind}/{workload.owner}"
