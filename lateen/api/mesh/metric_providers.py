"""Servers that proxies send their metrics to. Istio has no kinds of providers for them."""

import ipaddress
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from lateen.api.fields import NonEmpty, Port, Regex
from lateen.api.structs import Checked, OpenStruct, Problem, Struct, exactly_one


def check_address(text: str) -> str:
    """Return an address for datagrams, `IP:PORT`."""
    host, _, port = text.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        host = ""
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"must be an IP address and a port like 127.0.0.1:8125, not {text!r}")
    return text


Address = Annotated[str, AfterValidator(check_address)]


class StatsdServer(Checked):
    """A server of statsd: by datagrams to an `address`, or over TCP to a `service` of the mesh."""

    address: Address | None = None
    service: str = ""
    port: Port | None = None
    prefix: str = ""

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "address", "service")


class DogStatsdServer(Struct):
    """A server of DogStatsD, which keeps labels; it takes datagrams only."""

    address: Address
    prefix: str = ""


class OpenTelemetryMetrics(Struct):
    """A collector that takes metrics over OTLP and gRPC. `service` is `host` or `namespace/host`."""

    service: NonEmpty
    port: Port
    prefix: str = ""


class StatsMatcher(OpenStruct):
    """Which statistics of Envoy's own a proxy keeps beside what it always does, by their names."""

    inclusion_prefixes: tuple[NonEmpty, ...] = ()
    inclusion_suffixes: tuple[NonEmpty, ...] = ()
    inclusion_regexps: tuple[Regex, ...] = ()
