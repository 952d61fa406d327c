"""Which policies concern a proxy: by namespace, labels, or the object that they are attached to."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from lateen.api.networking.envoy_filter import EnvoyFilter
from lateen.api.networking.selectors import TargetReference
from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.security.attachment import Attached
from lateen.model.proxy import Proxy, Role

GATEWAY_NAME_LABEL: Final = "gateway.networking.k8s.io/gateway-name"
_GATEWAY_API: Final = "gateway.networking.k8s.io"
_NETWORKING: Final = "networking.istio.io"

Policy = ConfigObject[Attached]
"""An AuthorizationPolicy, a RequestAuthentication or an OidcLogin."""


class Attachment(NamedTuple):
    """A policy that concerns a proxy: on all ports (None), on some, or on none as far as it can be known."""

    policy: ObjectKey
    ports: tuple[int, ...] | None = None


class ServedPort(NamedTuple):
    """A port of the workload, and the object that describes the service behind which it is."""

    service: ObjectKey
    port: int


class Policies:
    """All policies of the mesh by namespace: a proxy is asked about those of its own and of the root namespace."""

    def __init__(self, policies: Iterable[Policy], root_namespace: str) -> None:
        self.by_key: dict[ObjectKey, Policy] = {}
        self._by_namespace: dict[str, list[Policy]] = {}
        self._root = root_namespace
        for policy in policies:
            self.by_key[policy.key] = policy
            self._by_namespace.setdefault(policy.namespace, []).append(policy)

    def of(self, proxy: Proxy, gateways: Iterable[ObjectKey], served: Iterable[ServedPort]) -> tuple[Attachment, ...]:
        """List the policies that concern a proxy, the root namespace's first; `gateways` are those that select it."""
        namespaces = dict.fromkeys((self._root, proxy.key.namespace))
        candidates = [policy for namespace in namespaces for policy in self._by_namespace.get(namespace, ())]
        if not candidates:
            return ()
        return tuple(_attachments(candidates, proxy, frozenset(gateways), tuple(served)))


def patches(spec: EnvoyFilter, namespace: str, proxy: Proxy, gateways: Iterable[ObjectKey]) -> bool:
    """Tell whether an EnvoyFilter of a namespace concerns a proxy of that namespace or, from the root, of any."""
    if spec.target_refs:
        gates = frozenset(gateways)
        targets = filter(is_gateway, spec.target_refs)
        return any(_is_of_gateway(target, namespace, proxy, gates) for target in targets)
    return spec.workload_selector is None or spec.workload_selector.labels.items() <= proxy.labels.items()


def _attachments(
    policies: Iterable[Policy], proxy: Proxy, gateways: frozenset[ObjectKey], served: tuple[ServedPort, ...]
) -> Iterator[Attachment]:
    for policy in policies:
        if not policy.spec.targets:
            if _selects(policy.spec, proxy.labels):
                yield Attachment(policy.key)
        elif policy.namespace == proxy.key.namespace:
            attachment = _targeted(policy, proxy, gateways, served)
            if attachment is not None:
                yield attachment


def _selects(spec: Attached, labels: Mapping[str, str]) -> bool:
    return spec.selector is None or spec.selector.match_labels.items() <= labels.items()


def _targeted(
    policy: Policy, proxy: Proxy, gateways: frozenset[ObjectKey], served: tuple[ServedPort, ...]
) -> Attachment | None:
    """Tell where a policy with targets concerns a proxy; one whose targets nobody knows is passed on as doubtful."""
    ports: set[int] = set()
    for target in policy.spec.targets:
        if is_gateway(target):
            if proxy.role is Role.GATEWAY and _is_of_gateway(target, policy.namespace, proxy, gateways):
                return Attachment(policy.key)
        elif is_service(target):
            group = "" if target.group == "core" else target.group
            named = ObjectKey(group, target.kind, policy.namespace, target.name)
            ports |= {port.port for port in served if port.service == named}
        elif not is_known(target):
            return Attachment(policy.key, ())
    return Attachment(policy.key, tuple(sorted(ports))) if ports else None


def is_known(target: TargetReference) -> bool:
    """Tell whether policies can be attached to objects of the kind that a reference names."""
    return is_gateway(target) or is_service(target)


def is_gateway(target: TargetReference) -> bool:
    """Tell whether a reference names a Gateway: Istio's, or the Gateway API's."""
    return target.kind == "Gateway" and target.group in (_GATEWAY_API, _NETWORKING)


def is_service(target: TargetReference) -> bool:
    """Tell whether a reference names a Service or a ServiceEntry."""
    return (target.group, target.kind) in (("", "Service"), ("core", "Service"), (_NETWORKING, "ServiceEntry"))


def _is_of_gateway(target: TargetReference, namespace: str, proxy: Proxy, gateways: frozenset[ObjectKey]) -> bool:
    if target.group == _NETWORKING:
        return ObjectKey(_NETWORKING, "Gateway", namespace, target.name) in gateways
    return proxy.labels.get(GATEWAY_NAME_LABEL) == target.name
