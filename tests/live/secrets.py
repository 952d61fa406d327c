"""What a proxy is given, asked for as it asks: by whoever may open its socket."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import discovery_pb2

from lateen.serving import sds
from lateen.serving.xds import METHOD, SERVICE
from lateen.xds import order

LIMIT_SECONDS = 10


def secret(socket: Path, name: str) -> Any:
    """Ask a node agent for a secret."""
    request = discovery_pb2.DiscoveryRequest(type_url=sds.TYPE_URL, resource_names=[name])
    with grpc.insecure_channel(f"unix:{socket}") as channel:
        answer = _first(channel, f"/{sds.SERVICE}/{sds.METHOD}", request)
    return secret_pb2.Secret.FromString(discovery_pb2.DiscoveryResponse.FromString(answer).resources[0].value)


def configuration(socket: Path, node: str, credentials: grpc.ChannelCredentials | None, host: str) -> str:
    """Ask the control plane for the clusters of a node; return `in`, or the status and words of the refusal."""
    request = discovery_pb2.DeltaDiscoveryRequest(type_url=order.CLUSTER)
    request.node.id = node
    target = f"unix:{socket}"
    options = [("grpc.ssl_target_name_override", host)]
    channel = grpc.secure_channel(target, credentials, options) if credentials else grpc.insecure_channel(target)
    with channel:
        try:
            _first(channel, f"/{SERVICE}/{METHOD}", request)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return "in"


def _first(channel: grpc.Channel, method: str, request: Any) -> bytes:
    """Send one request and keep the stream open until the first answer is there."""
    answered = threading.Event()

    def requests() -> Iterator[bytes]:
        yield request.SerializeToString()
        answered.wait(LIMIT_SECONDS)

    try:
        answer: bytes = next(channel.stream_stream(method)(requests(), timeout=LIMIT_SECONDS))
        return answer
    finally:
        answered.set()
