"""Envoy's response flags: what each says has happened, and what to look at."""

from typing import Final, NamedTuple


class Flag(NamedTuple):
    """A flag as proxies log it, Envoy's name for it, the answer that clients usually get (0: none), and its meaning.

    `happened` completes "the request … because …"; `look` is what to look at.
    """

    code: str
    name: str
    status: int
    happened: str
    look: str


FLAGS: Final = (
    Flag(
        "UH",
        "NoHealthyUpstream",
        503,
        "no endpoint of the destination is ready, or all were put aside because they failed",
        "whether its workloads run and are ready (`lateen ps`), whether the subset's labels select any, and the "
        "DestinationRule's outlierDetection",
    ),
    Flag(
        "UF",
        "UpstreamConnectionFailure",
        503,
        "the connection to the endpoint could not be made, or TLS with it failed",
        "whether the application listens on the targetPort, and whether both sides agree on TLS: DestinationRule "
        "tls.mode and the server's PeerAuthentication",
    ),
    Flag(
        "UC",
        "UpstreamConnectionTermination",
        503,
        "the other side closed the connection before it answered",
        "the server's log: a plain connection to a STRICT port, an application that closes idle connections sooner "
        "than its clients (connectionPool.http.idleTimeout), or one that crashed",
    ),
    Flag(
        "UR",
        "UpstreamRemoteReset",
        503,
        "the other side reset the request's stream",
        "the server's log, and its limits on streams and requests",
    ),
    Flag(
        "UO",
        "UpstreamOverflow",
        503,
        "a limit of the DestinationRule's connectionPool was reached",
        "connectionPool: maxConnections, http1MaxPendingRequests, http2MaxRequests",
    ),
    Flag(
        "UT",
        "UpstreamRequestTimeout",
        504,
        "the answer did not come within the route's timeout",
        "the rule's timeout and retries.perTryTimeout, and why the server is slow",
    ),
    Flag(
        "URX",
        "UpstreamRetryLimitExceeded",
        503,
        "every try that the route allows has failed",
        "the rule's retries, and the flags of the single tries at the server",
    ),
    Flag(
        "NR",
        "NoRouteFound",
        404,
        "no route, or for a connection no filter chain, is for it",
        "the hosts, ports and matches of VirtualServices and Gateways; `lateen explain --from … --to …` shows which "
        "were asked",
    ),
    Flag(
        "NC",
        "NoClusterFound",
        503,
        "the route leads to a cluster that the proxy does not have",
        "`lateen proxy-status`: whether the proxy has refused it",
    ),
    Flag(
        "DC",
        "DownstreamConnectionTermination",
        0,
        "the client went away before the answer was complete",
        "the client's own timeout",
    ),
    Flag("DR", "DownstreamRemoteReset", 0, "the client reset the request's stream", "the client's own timeout"),
    Flag("DT", "DurationTimeout", 504, "the request or connection lasted longer than it may", "maxConnectionDuration"),
    Flag(
        "SI",
        "StreamIdleTimeout",
        408,
        "nothing was sent on the stream for too long",
        "the idle timeouts, and whether client or server stopped in the middle",
    ),
    Flag(
        "UMSDR",
        "UpstreamMaxStreamDurationReached",
        408,
        "the stream lasted longer than it may",
        "the route's timeout for gRPC and streams",
    ),
    Flag("DI", "DelayInjected", 0, "a delay was made on purpose", "the rule's fault.delay"),
    Flag("FI", "FaultInjected", 0, "an error was made on purpose", "the rule's fault.abort"),
    Flag("RL", "RateLimited", 429, "a rate limit is used up", "the RateLimit or quota rule that concerns the workload"),
    Flag(
        "RLSE",
        "RateLimitServiceError",
        500,
        "the server that counts rate limits did not answer",
        "`lateen ps`, and the log of the process for global limits",
    ),
    Flag(
        "UAEX",
        "UnauthorizedExternalService",
        403,
        "the external authorizer refused it, or did not answer",
        "the AuthorizationPolicy with action CUSTOM, its provider in MeshConfig, and the authorizer's log",
    ),
    Flag(
        "LR",
        "LocalReset",
        503,
        "the proxy itself reset the stream",
        "the protocol of the port's name or appProtocol: HTTP/2 spoken with a server of HTTP/1.1 is a usual cause",
    ),
    Flag(
        "UPE",
        "UpstreamProtocolError",
        502,
        "the answer was not good HTTP",
        "whether the port's protocol is what the application speaks",
    ),
    Flag(
        "DPE",
        "DownstreamProtocolError",
        400,
        "the request was not good HTTP",
        "what the client sends: another protocol than the port's name says, or headers that HTTP does not allow",
    ),
    Flag("IH", "InvalidEnvoyRequestHeaders", 400, "a header that Envoy reads has a bad value", "x-envoy-… headers"),
    Flag("LH", "FailedLocalHealthCheck", 503, "the proxy was told to fail health checks", "whether it is draining"),
    Flag(
        "DF",
        "DnsResolutionFailed",
        503,
        "the destination's name could not be resolved",
        "the host of the ServiceEntry, and the DNS of this machine",
    ),
    Flag(
        "OM",
        "OverloadManagerTerminated",
        503,
        "the proxy sheds load",
        "its memory and connections (`lateen proxy-config`)",
    ),
    Flag(
        "DO", "DropOverload", 503, "the control plane had a share of requests dropped", "the endpoints' drop settings"
    ),
    Flag(
        "UDO",
        "UnconditionalDropOverload",
        503,
        "the control plane had all requests dropped",
        "the endpoints' drop settings",
    ),
    Flag("RFCF", "ResponseFromCacheFilter", 0, "the answer came from a cache", "EnvoyFilters with a cache"),
    Flag(
        "NFCF",
        "NoFilterConfigFound",
        500,
        "the configuration of a filter has not come yet",
        "`lateen proxy-status`, and EnvoyFilters",
    ),
)
"""Every flag that Envoy writes."""

_BY_CODE: Final = {flag.code: flag for flag in FLAGS}


def of(written: str) -> tuple[Flag, ...]:
    """Return the flags that a log's field names, such as `UF,URX`; those that are not known are left out."""
    return tuple(_BY_CODE[code] for code in written.split(",") if code in _BY_CODE)
