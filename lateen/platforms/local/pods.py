"""Which pods the config wants, and what each of them is. Pure.

An `Owner` (Deployment, StatefulSet or Pod) wants so many pods of a template; a `PodDesign` is one pod with everything
that is needed to run it, also after its owner has changed or is gone.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final

from lateen.api.apps.deployment import Deployment, StrategyType
from lateen.api.apps.stateful_set import PodManagement, StatefulSet, UpdateType
from lateen.api.config_set import ConfigSet
from lateen.api.core.container import Container
from lateen.api.core.metadata import ObjectMeta
from lateen.api.core.namespace import Namespace
from lateen.api.core.pod import Pod, PodSpec, PodTemplate
from lateen.api.core.service import TransportProtocol
from lateen.api.core.volume import ClaimVolume, Volume
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.auth.attestation import Attested
from lateen.model import groups, proxy_settings
from lateen.model.peer_names import peer_name
from lateen.model.workload import Locality, Membership, Workload, WorkloadKey
from lateen.names import Identity
from lateen.platforms.local import links
from lateen.platforms.local.containers import is_proxy
from lateen.platforms.local.environment import PodFacts
from lateen.platforms.local.injection import Injection, choose_injection
from lateen.platforms.local.rollouts import (
    NAME_LETTERS,
    OwnerKind,
    Replicas,
    Strategy,
    resolve_share,
)

POD_TEMPLATE_HASH: Final = "pod-template-hash"
POD_NAME_LABEL: Final = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL: Final = "apps.kubernetes.io/pod-index"
REVISION_LABEL: Final = "controller-revision-hash"
LOCALITY_LABEL: Final = "istio-locality"
NODE_NAME: Final = "localhost"
_REVISION_LENGTH: Final = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """An object that wants pods.

    `folder` is that of the file it was written in, empty where it came from none. `claims` are the volumes of which
    each pod gets its own, kept under the pod's name.
    """

    namespace: str
    replicas: Replicas
    template: PodTemplate
    folder: str = ""
    service_name: str = ""
    claims: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The owner for people: `Deployment/reviews-v1`."""
        return f"{self.replicas.kind}/{self.replicas.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodDesign:
    """One pod: who it is, whose it is, and the template that it was made from."""

    namespace: str
    name: str
    address: str
    owner_kind: OwnerKind
    owner_name: str
    revision: str
    template: PodTemplate
    folder: str = ""
    service_name: str = ""

    @property
    def key(self) -> WorkloadKey:
        """The pod as a workload of the mesh."""
        return WorkloadKey(self.namespace, self.name)

    @property
    def owner(self) -> str:
        """The owner for people: `Deployment/reviews-v1`."""
        return f"{self.owner_kind}/{self.owner_name}"

    @property
    def sandbox(self) -> str:
        """The id of the pod's sandbox."""
        return str(self.key)

    @property
    def spec(self) -> PodSpec:
        """What the pod runs."""
        return self.template.spec

    @property
    def annotations(self) -> Mapping[str, str]:
        """The pod's annotations."""
        return self.template.metadata.annotations

    @property
    def labels(self) -> Mapping[str, str]:
        """The template's labels and those that Kubernetes adds for the kind of owner."""
        given = dict(self.template.metadata.labels)
        if self.owner_kind == "Deployment":
            given[POD_TEMPLATE_HASH] = self.revision
        elif self.owner_kind == "StatefulSet":
            given[REVISION_LABEL] = f"{self.owner_name}-{self.revision}"
            given[POD_NAME_LABEL] = self.name
            given[POD_INDEX_LABEL] = self.name.rpartition("-")[2]
        return given

    @property
    def hostname(self) -> str:
        """The name that the pod has for itself."""
        return (self.spec.hostname or self.name)[:63]

    @property
    def subdomain(self) -> str:
        """The headless service under which the pod has a DNS name of its own; empty for none."""
        return self.spec.subdomain or self.service_name

    @property
    def app_containers(self) -> tuple[Container, ...]:
        """The containers that do the pod's work; the proxy is none of them."""
        return tuple(container for container in self.spec.containers if not is_proxy(container))

    @property
    def init_containers(self) -> tuple[Container, ...]:
        """The containers that come first, in order."""
        return tuple(container for container in self.spec.init_containers if not is_proxy(container))

    @property
    def facts(self) -> PodFacts:
        """What the pod's containers can be told about it."""
        return PodFacts(
            name=self.name,
            namespace=self.namespace,
            uid=_uid(str(self.key), self.address),
            address=self.address,
            node_name=NODE_NAME,
            node_address=str(links.NODE),
            service_account=self.spec.account,
            labels=self.labels,
            annotations=self.annotations,
        )


def desired_owners(config: ConfigSet) -> tuple[Owner, ...]:
    """List everything in the config that wants pods, ordered by kind, namespace and name."""
    return tuple(_owners(config))


def design_pod(owner: Owner, name: str, address: str) -> PodDesign:
    """Design a pod of an owner's present template."""
    return PodDesign(
        namespace=owner.namespace,
        name=name,
        address=address,
        owner_kind=owner.replicas.kind,
        owner_name=owner.replicas.name,
        revision=owner.replicas.revision,
        template=_with_claims(owner, name),
        folder=owner.folder,
        service_name=owner.service_name,
    )


def injection_of(design: PodDesign, config: ConfigSet) -> Injection:
    """Decide how a pod takes part in the mesh."""
    home = next((item for item in config.of(Namespace) if item.name == design.namespace), None)
    chosen = choose_injection(design.labels, design.annotations, home.metadata.labels if home else {})
    wrong = (f"annotation {proxy_settings.ANNOTATION}: {fault}" for fault in proxy_settings.faults(design.annotations))
    return replace(chosen, problems=(*chosen.problems, *wrong))


def workload(
    design: PodDesign, *, ready: bool, proxied: bool, membership: Membership | None = None, network: str = ""
) -> Workload:
    """Describe a pod as the platform knows it."""
    return Workload(
        key=design.key,
        address=design.address,
        labels=design.labels,
        service_account=design.spec.account,
        ports=named_ports(design),
        ready=ready,
        proxied=proxied,
        owner=design.owner_name,
        locality=Locality.parse(design.labels.get(LOCALITY_LABEL, "").replace(".", "/")),
        hostname=design.hostname if design.spec.hostname or design.service_name else "",
        subdomain=design.subdomain,
        settings=proxy_settings.live_parts(design.annotations),
        network=network,
        membership=membership,
    )


def group_and_network(environment: Mapping[str, str]) -> tuple[str, str]:
    """Read from a proxy's environment which WorkloadGroup it is to be a member of, and its network; empty for none."""
    return environment.get(groups.GROUP_VARIABLE, ""), environment.get(groups.NETWORK_VARIABLE, "")


def attested(design: PodDesign, trust_domain: str) -> Attested:
    """Say who a pod is, as the agent knows that made it. Raises `ProtocolError` for names that no certificate has."""
    known = peer_name(design.owner_name, design.labels)
    return Attested(
        Identity(trust_domain, design.namespace, design.spec.account),
        design.name,
        known.app,
        known.version,
        owner=known.workload,
        service=known.service,
        revision=known.revision,
    )


def app_and_version(labels: Mapping[str, str]) -> tuple[str, str]:
    """Read what a pod is an instance of, by Istio's labels or Kubernetes' own; empty where it does not say."""
    app = labels.get("app") or labels.get("app.kubernetes.io/name", "")
    return app, labels.get("version") or labels.get("app.kubernetes.io/version", "")


def named_ports(design: PodDesign) -> dict[str, int]:
    """Map the names of a pod's container ports to their numbers."""
    containers = (*design.spec.init_containers, *design.spec.containers)
    return {port.name: port.container_port for each in containers for port in each.ports if port.name}


def first_tcp_port(container: Container) -> int | None:
    """Give the first TCP port that a container declares."""
    ports = (port.container_port for port in container.ports if port.protocol is TransportProtocol.TCP)
    return next(ports, None)


def revision_of(template: object) -> str:
    """Give the fingerprint of a pod template: equal templates have equal ones, as name-safe letters."""
    digest = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).digest()
    return "".join(NAME_LETTERS[byte % len(NAME_LETTERS)] for byte in digest[:_REVISION_LENGTH])


def _owners(config: ConfigSet) -> Iterator[Owner]:
    for deployment in config.of(Deployment):
        yield _deployment(deployment)
    for stateful_set in config.of(StatefulSet):
        yield _stateful_set(stateful_set)
    for pod in config.of(Pod):
        yield _pod(pod)


def _deployment(item: ConfigObject[Deployment]) -> Owner:
    spec = item.spec
    rolling = spec.strategy.rolling_update
    surge = rolling.max_surge if rolling else "25%"
    unavailable = rolling.max_unavailable if rolling else "25%"
    strategy = Strategy(
        max_surge=resolve_share(surge, spec.replicas, upwards=True),
        max_unavailable=resolve_share(unavailable, spec.replicas, upwards=False),
        recreate=spec.strategy.type is StrategyType.RECREATE,
    )
    replicas = Replicas(
        kind="Deployment",
        name=item.name,
        count=spec.replicas,
        revision=revision_of(_body(item)["spec"]["template"]),
        strategy=_able_to_move(strategy),
    )
    ignored = [name for name, given in (("paused", spec.paused), ("minReadySeconds", spec.min_ready_seconds)) if given]
    return Owner(
        namespace=item.namespace,
        replicas=replicas,
        template=spec.template,
        folder=_folder(item),
        ignored=tuple(ignored),
    )


def _able_to_move(strategy: Strategy) -> Strategy:
    """Allow one pod more where neither more nor fewer are allowed: such a rollout could never begin."""
    if strategy.max_surge or strategy.max_unavailable or strategy.recreate:
        return strategy
    return Strategy(max_surge=1)


def _stateful_set(item: ConfigObject[StatefulSet]) -> Owner:
    spec = item.spec
    rolling = spec.update_strategy.rolling_update
    replicas = Replicas(
        kind="StatefulSet",
        name=item.name,
        count=spec.replicas,
        revision=revision_of(_body(item)["spec"]["template"]),
        strategy=Strategy(
            on_delete=spec.update_strategy.type is UpdateType.ON_DELETE,
            parallel=spec.pod_management_policy is PodManagement.PARALLEL,
            partition=rolling.partition if rolling else 0,
        ),
        first_ordinal=spec.ordinals.start,
    )
    return Owner(
        namespace=item.namespace,
        replicas=replicas,
        template=spec.template,
        folder=_folder(item),
        service_name=spec.service_name,
        claims=spec.claim_names,
    )


def _with_claims(owner: Owner, name: str) -> PodTemplate:
    """Give the template with a volume for each claim of the pod, which wins over another volume of that name."""
    if not owner.claims:
        return owner.template
    spec = owner.template.spec
    own = (
        Volume(name=claim, persistent_volume_claim=ClaimVolume(claim_name=f"{claim}-{name}")) for claim in owner.claims
    )
    others = (volume for volume in spec.volumes if volume.name not in owner.claims)
    return owner.template.model_copy(update={"spec": spec.model_copy(update={"volumes": (*own, *others)})})


def _pod(item: ConfigObject[Pod]) -> Owner:
    labels, annotations = dict(item.metadata.labels), dict(item.metadata.annotations)
    template = PodTemplate(metadata=ObjectMeta(labels=labels, annotations=annotations), spec=item.spec)
    revision = revision_of([labels, annotations, _body(item)["spec"]])
    replicas = Replicas(kind="Pod", name=item.name, count=1, revision=revision)
    return Owner(namespace=item.namespace, replicas=replicas, template=template, folder=_folder(item))


def _body(item: ConfigObject[Struct]) -> dict[str, dict[str, object]]:
    body: dict[str, dict[str, object]] = json.loads(item.body)
    return body


def _folder(item: ConfigObject[Struct]) -> str:
    return str(PurePath(item.source.file).parent) if item.source.file else ""


def _uid(name: str, address: str) -> str:
    digits = hashlib.sha256(f"{name} {address}".encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"
