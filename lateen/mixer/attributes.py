"""The vocabulary: every attribute with its type, what it means, and where each side's Envoy has it from.

`docs/mixer.md` shows this table; a test keeps the two alike.
"""

from types import MappingProxyType
from typing import Final

from lateen.api.expressions.types import ValueType
from lateen.mixer import origins
from lateen.mixer.origins import AttributeEntry, Keeper, Origin, Protocols, When

_STRING: Final = ValueType.STRING
_INT: Final = ValueType.INT64
_BOOL: Final = ValueType.BOOL
_MAP: Final = ValueType.STRING_MAP
_IP: Final = ValueType.IP_ADDRESS
_SPIFFE: Final = "spiffe://"


_WORKLOAD_FACTS: Final = (
    ("uid", _STRING, "the platform's id of the workload instance, `kubernetes://POD.NAMESPACE`"),
    ("name", _STRING, "name of the workload instance (the pod)"),
    ("namespace", _STRING, "namespace of the workload instance"),
    ("labels", _MAP, "labels of the workload instance"),
    ("owner", _STRING, "what controls the instance, `kubernetes://apis/apps/v1/namespaces/N/deployments/D`"),
    ("workload.uid", _STRING, "id of the workload, `istio://N/workloads/W`"),
    ("workload.name", _STRING, "name of the workload"),
    ("workload.namespace", _STRING, "namespace of the workload"),
)


def _source_facts() -> tuple[AttributeEntry, ...]:
    return tuple(
        AttributeEntry(
            f"source.{fact}",
            kind,
            f"the caller's: {meaning}",
            origins.peer(fact, When.REQUEST),
            Origin(Keeper.OWN, fact=fact),
        )
        for fact, kind, meaning in _WORKLOAD_FACTS
    )


def _destination_facts() -> tuple[AttributeEntry, ...]:
    return tuple(
        AttributeEntry(
            f"destination.{fact}",
            kind,
            f"the callee's: {meaning}",
            Origin(Keeper.OWN, fact=fact),
            origins.peer(fact, When.END),
        )
        for fact, kind, meaning in _WORKLOAD_FACTS
    )


_DROPPED: Final = (
    *("source.service", "source.domain", "source.serviceAccount", "destination.domain", "destination.serviceAccount"),
    *("origin.uid", "origin.user"),
)
"""Names that the first releases had and later ones dropped; expressions may read them and find nothing."""

VOCABULARY: Final = (
    AttributeEntry(
        "source.ip",
        _IP,
        "address of the calling workload instance",
        origins.stream(operator="%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%"),
        Origin(Keeper.OWN, fact="ip"),
    ),
    AttributeEntry(
        "source.principal",
        _STRING,
        "identity that the caller's certificate proves, `cluster.local/ns/N/sa/A`; absent without mutual TLS",
        Origin(Keeper.STREAM, "connection.uri_san_peer_certificate", "%DOWNSTREAM_PEER_URI_SAN%", prefix=_SPIFFE),
        Origin(Keeper.OWN, operator="%UPSTREAM_LOCAL_URI_SAN%", fact="principal", prefix=_SPIFFE),
    ),
    *_source_facts(),
    AttributeEntry(
        "destination.ip",
        _IP,
        "address of the called workload instance",
        Origin(Keeper.OWN, operator="%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", fact="ip"),
        origins.end(operator="%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
    ),
    AttributeEntry(
        "destination.port",
        _INT,
        "port that the called workload instance listens on",
        origins.stream("destination.port", "%DOWNSTREAM_LOCAL_PORT%"),
        origins.end("upstream.port", "%UPSTREAM_REMOTE_PORT%"),
    ),
    AttributeEntry(
        "destination.principal",
        _STRING,
        "identity that the callee's certificate proves",
        Origin(
            Keeper.OWN,
            "connection.uri_san_local_certificate",
            "%DOWNSTREAM_LOCAL_URI_SAN%",
            fact="principal",
            prefix=_SPIFFE,
        ),
        Origin(
            Keeper.STREAM,
            "upstream.uri_san_peer_certificate",
            "%UPSTREAM_PEER_URI_SAN%",
            prefix=_SPIFFE,
            when=When.END,
        ),
    ),
    *_destination_facts(),
    AttributeEntry(
        "destination.container.name",
        _STRING,
        "name of the container that listens on the port",
        Origin(Keeper.OWN, fact="container.name"),
        origins.peer("container.name", When.END),
    ),
    AttributeEntry(
        "destination.container.image",
        _STRING,
        "image of the container that listens on the port",
        Origin(Keeper.OWN, fact="container.image"),
        Origin(Keeper.NOBODY),
    ),
    origins.by(Keeper.SERVICE, "destination.service.host", _STRING, "host name of the service that is called", "host"),
    origins.by(Keeper.SERVICE, "destination.service.uid", _STRING, "id of the service, `istio://N/services/S`", "uid"),
    origins.by(Keeper.SERVICE, "destination.service.name", _STRING, "short name of the service", "name"),
    origins.by(Keeper.SERVICE, "destination.service.namespace", _STRING, "namespace of the service", "namespace"),
    AttributeEntry(
        "origin.ip",
        _IP,
        "address of the first client, as far as trusted proxies tell",
        origins.stream(operator="%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
        origins.stream(operator="%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%"),
    ),
    origins.http("request.headers", _MAP, "headers of the request by name in lower case", "request.headers"),
    origins.http("request.id", _STRING, "id of the request", "request.id", "%REQ(X-REQUEST-ID)%"),
    origins.http("request.path", _STRING, "path with query", "request.path", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
    origins.http("request.url_path", _STRING, "path without query", "request.url_path", "%PATH(NQ)%"),
    origins.http("request.query_params", _MAP, "parameters of the query"),
    origins.http("request.host", _STRING, "host that is called", "request.host", "%REQ(:AUTHORITY)%"),
    origins.http("request.method", _STRING, "method", "request.method", "%REQ(:METHOD)%"),
    origins.http("request.scheme", _STRING, "scheme", "request.scheme", "%REQ(:SCHEME)%"),
    origins.http("request.referer", _STRING, "where the request was led from", "request.referer", "%REQ(REFERER)%"),
    origins.http("request.useragent", _STRING, "program of the client", "request.useragent", "%REQ(USER-AGENT)%"),
    origins.by(Keeper.NOBODY, "request.reason", _STRING, "reason that systems of audit give", protocols=Protocols.HTTP),
    origins.http(
        "request.size", _INT, "length of the body, as announced", "request.size", "%REQ(CONTENT-LENGTH)%", unit="bytes"
    ),
    origins.http(
        "request.total_size",
        _INT,
        "length of headers, body and trailers",
        "request.total_size",
        when=When.END,
        unit="bytes",
    ),
    origins.http("request.time", ValueType.TIMESTAMP, "when the request came in", "request.time", "%START_TIME%"),
    origins.http(
        "response.headers", _MAP, "headers of the response by name in lower case", "response.headers", when=When.END
    ),
    origins.http(
        "response.size", _INT, "length of the response's body", "response.size", "%BYTES_SENT%", When.END, unit="bytes"
    ),
    origins.http(
        "response.total_size",
        _INT,
        "length of headers, body and trailers",
        "response.total_size",
        when=When.END,
        unit="bytes",
    ),
    origins.http(
        "response.time",
        ValueType.TIMESTAMP,
        "when the response was complete",
        "request.time + request.duration",
        when=When.END,
    ),
    origins.http(
        "response.duration",
        ValueType.DURATION,
        "how long the response took",
        "request.duration",
        "%DURATION%",
        When.END,
    ),
    origins.http("response.code", _INT, "status of the response", "response.code", "%RESPONSE_CODE%", When.END),
    origins.http("response.grpc_status", _STRING, "status of gRPC, a number", "", "%GRPC_STATUS_NUMBER%", When.END),
    origins.http("response.grpc_message", _STRING, "message of gRPC", "", "%TRAILER(GRPC-MESSAGE)%", When.END),
    origins.connection("connection.id", _STRING, "id of the connection", "", "%CONNECTION_ID%"),
    origins.by(Keeper.MIXER, "connection.event", _STRING, "`open`, `continue` or `close`", protocols=Protocols.TCP),
    origins.connection(
        "connection.received.bytes",
        _INT,
        "what was received since the last report",
        operator="%BYTES_RECEIVED%",
        when=When.END,
        unit="bytes",
    ),
    origins.connection(
        "connection.received.bytes_total",
        _INT,
        "what was received since the connection began",
        operator="%BYTES_RECEIVED%",
        when=When.END,
        unit="bytes",
    ),
    origins.connection(
        "connection.sent.bytes",
        _INT,
        "what was sent since the last report",
        operator="%BYTES_SENT%",
        when=When.END,
        unit="bytes",
    ),
    origins.connection(
        "connection.sent.bytes_total",
        _INT,
        "what was sent since the connection began",
        operator="%BYTES_SENT%",
        when=When.END,
        unit="bytes",
    ),
    origins.connection(
        "connection.duration",
        ValueType.DURATION,
        "how long the connection was open",
        operator="%DURATION%",
        when=When.END,
    ),
    origins.connection("connection.mtls", _BOOL, "whether the caller came with mutual TLS", "connection.mtls"),
    origins.connection(
        "connection.requested_server_name",
        _STRING,
        "server name (SNI) that the caller asked for",
        "connection.requested_server_name",
        "%REQUESTED_SERVER_NAME%",
    ),
    origins.by(Keeper.PLACE, "context.protocol", _STRING, "`http`, `grpc` or `tcp`", "protocol"),
    origins.connection("context.time", ValueType.TIMESTAMP, "when Mixer is asked", "request.time", "%START_TIME%"),
    origins.by(
        Keeper.PLACE, "context.reporter.kind", _STRING, "`inbound` at the callee, `outbound` at the caller", "kind"
    ),
    origins.by(Keeper.OWN, "context.reporter.uid", _STRING, "id of the workload whose proxy tells", "uid"),
    origins.connection("context.proxy_error_code", _STRING, "Envoy's response flags", "", "%RESPONSE_FLAGS%", When.END),
    origins.by(Keeper.API, "api.service", _STRING, "name of the public API", protocols=Protocols.HTTP),
    origins.by(Keeper.API, "api.version", _STRING, "version of the public API", protocols=Protocols.HTTP),
    origins.by(Keeper.API, "api.operation", _STRING, "operation of the public API", protocols=Protocols.HTTP),
    origins.by(Keeper.API, "api.protocol", _STRING, "`http`, `https` or `grpc`", protocols=Protocols.HTTP),
    origins.by(Keeper.API, "request.api_key", _STRING, "API key of the request", protocols=Protocols.HTTP),
    origins.by(Keeper.JWT, "request.auth.principal", _STRING, "`ISSUER/SUBJECT`", "principal", Protocols.HTTP),
    origins.by(Keeper.JWT, "request.auth.audiences", _STRING, "for whom the token is", "audiences", Protocols.HTTP),
    origins.by(
        Keeper.JWT, "request.auth.presenter", _STRING, "to whom the token was given", "presenter", Protocols.HTTP
    ),
    origins.by(Keeper.JWT, "request.auth.claims", _MAP, "claims of the token that are text", "claims", Protocols.HTTP),
    origins.by(Keeper.MIXER, "check.error_code", _INT, "code of the last check's status"),
    origins.by(Keeper.MIXER, "check.error_message", _STRING, "message of the last check's status"),
    origins.by(Keeper.MIXER, "check.cache_hit", _BOOL, "whether the check was answered from a cache"),
    origins.by(Keeper.MIXER, "quota.cache_hit", _BOOL, "whether the quota was answered from a cache"),
    *(origins.by(Keeper.NOBODY, name, _STRING, "of the first releases; always absent") for name in _DROPPED),
)
"""Every attribute that Lateen knows without manifests."""

ENTRIES: Final = MappingProxyType({entry.name: entry for entry in VOCABULARY})
"""The vocabulary by name."""

OLD_NAMES: Final = MappingProxyType(
    {
        "target.ip": "destination.ip",
        "target.port": "destination.port",
        "target.uid": "destination.uid",
        "target.name": "destination.name",
        "target.namespace": "destination.namespace",
        "target.labels": "destination.labels",
        "target.service": "destination.service.host",
        "destination.service": "destination.service.host",
        "source.user": "source.principal",
        "destination.user": "destination.principal",
        "context.timestamp": "context.time",
        "api.name": "api.service",
        "api.method": "api.operation",
    }
)
"""Names of the first releases, and by what they are called now; expressions may use both."""


def current_name(name: str) -> str:
    """Return the name of today for an attribute."""
    return OLD_NAMES.get(name, name)
