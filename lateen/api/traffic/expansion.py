"""What an Egress stands for: the objects of Istio's that one would write otherwise, made anew whenever it changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.gateway import Gateway
from lateen.api.networking.service_entry import ServiceEntry
from lateen.api.networking.virtual_service import VirtualService
from lateen.api.objects import ConfigObject, Metadata, ObjectKey, canonical_json
from lateen.api.structs import Struct
from lateen.api.traffic.egress import Egress, EgressGateway, EgressProtocol

Json = dict[str, Any]

GROUP: Final = "networking.istio.io"
PREFIX: Final = "egress-"
EXPANDED_FROM: Final = "lateen.dev/expanded-from"
"""The annotation of an object that stands in for a part of an Egress, with its name."""

_API_VERSION: Final = f"{GROUP}/v1"
_HTTP_PORT: Final = 80
_TLS_PORT: Final = 443
_SPECS: Final[dict[str, type[Struct]]] = {
    "ServiceEntry": ServiceEntry,
    "Gateway": Gateway,
    "DestinationRule": DestinationRule,
    "VirtualService": VirtualService,
}


def expand(item: ConfigObject[Egress]) -> tuple[ConfigObject[Struct], ...]:
    """Return the objects that an Egress stands for; each says by an annotation, and by its place, where it is from."""
    return tuple(_object(item, kind, name, spec) for kind, name, spec in _documents(item.name, item.spec))


def keys(item: ConfigObject[Egress]) -> tuple[ObjectKey, ...]:
    """Return the keys of the objects that an Egress stands for."""
    return tuple(ObjectKey(GROUP, kind, item.namespace, name) for kind, name, _ in _documents(item.name, item.spec))


def _object(item: ConfigObject[Egress], kind: str, name: str, spec: Json) -> ConfigObject[Struct]:
    annotations = {EXPANDED_FROM: item.name}
    metadata = {"name": name, "namespace": item.namespace, "annotations": annotations}
    document = {"apiVersion": _API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
    return ConfigObject(
        ObjectKey(GROUP, kind, item.namespace, name),
        _API_VERSION,
        Metadata(annotations=annotations, creation_timestamp=item.metadata.creation_timestamp),
        _SPECS[kind].model_validate(spec),
        item.source,
        canonical_json(document),
    )


def _documents(name: str, spec: Egress) -> Iterator[tuple[str, str, Json]]:
    own = f"{PREFIX}{name}"
    way = _Way(own, spec, spec.gateway)
    yield "ServiceEntry", own, way.service_entry()
    for position, host in enumerate(spec.hosts if spec.originate_tls else ()):
        yield "DestinationRule", f"{own}-{position}" if position else own, way.originating(host)
    if spec.gateway is not None:
        yield "Gateway", own, way.gateway(spec.gateway)
        yield "DestinationRule", f"{own}-gateway", way.to_gateway(spec.gateway)
        for position, host in enumerate(spec.hosts):
            yield "VirtualService", f"{own}-{position}" if position else own, way.routes(host, position, spec.gateway)


@dataclass(frozen=True, slots=True)
class _Way:
    """How the traffic of one Egress goes. `name` is the one of its Gateway."""

    name: str
    spec: Egress
    through: EgressGateway | None

    @property
    def http(self) -> list[int]:
        """The ports on which clients speak HTTP."""
        return [port.number for port in self.spec.ports if port.protocol is EgressProtocol.HTTP]

    @property
    def tls(self) -> list[int]:
        """The ports on which clients speak TLS themselves."""
        return [port.number for port in self.spec.ports if port.protocol is EgressProtocol.TLS]

    @property
    def exported(self) -> Json:
        """The scope of all objects."""
        return {"exportTo": list(self.spec.export_to)} if self.spec.export_to else {}

    def service_entry(self) -> Json:
        """Say the hosts, their ports, and how they are found."""
        wild = any(host.startswith("*") for host in self.spec.hosts)
        begins = self.spec.originate_tls
        ports: list[Json] = []
        for number in self.http:
            target = {"targetPort": begins.port} if begins is not None else {}
            ports.append({"number": number, "name": f"http-{number}", "protocol": "HTTP", **target})
        ports += ({"number": number, "name": f"tls-{number}", "protocol": "TLS"} for number in self.tls)
        resolution = "DYNAMIC_DNS" if wild else "DNS"
        return {"hosts": list(self.spec.hosts), "ports": ports, "resolution": resolution, **self.exported}

    def originating(self, host: str) -> Json:
        """Say the TLS that is begun for clients that speak plain HTTP."""
        begins = self.spec.originate_tls
        tls: Json = {"mode": "SIMPLE"}
        if begins is not None and begins.credential_name:
            tls = {"mode": "MUTUAL", "credentialName": begins.credential_name}
        if begins is not None and begins.insecure_skip_verify:
            tls["insecureSkipVerify"] = True
        levels = [{"port": {"number": number}, "tls": tls} for number in self.http]
        return {"host": host, "trafficPolicy": {"portLevelSettings": levels}, **self.exported}

    def gateway(self, through: EgressGateway) -> Json:
        """Say the gateway's ports: on one, what was HTTP comes in the mesh's TLS; on the other, TLS passes through."""
        servers: list[Json] = []
        if self.http:
            servers.append(self._server(_HTTP_PORT, "HTTPS", "ISTIO_MUTUAL"))
        if self.tls:
            servers.append(self._server(_TLS_PORT, "TLS", "PASSTHROUGH"))
        return {"selector": dict(through.selector) or {"istio": "egressgateway"}, "servers": servers}

    def _server(self, number: int, protocol: str, mode: str) -> Json:
        port = {"number": number, "name": f"{self.name}-{number}", "protocol": protocol}
        return {"port": port, "hosts": list(self.spec.hosts), "tls": {"mode": mode}}

    def to_gateway(self, through: EgressGateway) -> Json:
        """Say the mesh's TLS to the gateway: for each host with its own server name, by which the gateway knows it."""
        subsets = [
            {
                "name": f"{self.name}-{position}",
                "trafficPolicy": {
                    "portLevelSettings": [
                        {"port": {"number": _HTTP_PORT}, "tls": {"mode": "ISTIO_MUTUAL", "sni": host}}
                    ]
                },
            }
            for position, host in enumerate(self.spec.hosts)
        ]
        return {"host": through.service, "subsets": subsets, **self.exported}

    def routes(self, host: str, position: int, through: EgressGateway) -> Json:
        """Say both halves of the way: from sidecars to the gateway, and from there to the host."""
        rules: Json = {"hosts": [host], "gateways": ["mesh", self.name], **self.exported}
        if self.http:
            rules["http"] = [
                {
                    "match": [{"gateways": ["mesh"], "port": number} for number in self.http],
                    "route": [_to(through.service, _HTTP_PORT, f"{self.name}-{position}")],
                },
                {"match": [{"gateways": [self.name], "port": _HTTP_PORT}], "route": [_to(host, self.http[0])]},
            ]
        if self.tls:
            named = {"sniHosts": [host]}
            rules["tls"] = [
                {
                    "match": [{"gateways": ["mesh"], "port": number, **named} for number in self.tls],
                    "route": [_to(through.service, _TLS_PORT)],
                },
                {"match": [{"gateways": [self.name], "port": _TLS_PORT, **named}], "route": [_to(host, self.tls[0])]},
            ]
        return rules


def _to(host: str, port: int, subset: str = "") -> Json:
    destination: Json = {"host": host, "port": {"number": port}}
    return {"destination": {**destination, "subset": subset} if subset else destination}
