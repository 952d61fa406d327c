"""The workload's DNS, answered by its own proxy.

Envoy 1.40 answers a question for an IPv6 address of a name that has only IPv4 ones with "no such name", and there is no
setting for that. glibc, Go and c-ares take the IPv4 answer; musl takes the name as missing.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from envoy.config.core.v3 import extension_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.data.dns.v3 import dns_table_pb2
from envoy.extensions.filters.udp.dns_filter.v3 import dns_filter_pb2
from envoy.extensions.network.dns_resolver.cares.v3 import cares_dns_resolver_pb2

from lateen.envoy.addresses import address
from lateen.envoy.values import duration, typed
from lateen.plan.types import DnsRecord

_TIME_TO_LIVE: Final = timedelta(seconds=30)
_UPSTREAM_TIMEOUT: Final = timedelta(seconds=5)
_UPSTREAM_PORT: Final = 53
_MOST_PENDING: Final = 1024


def dns_filter(records: Iterable[DnsRecord], upstream: str) -> Any:
    """Say the names that are answered, and who is asked for all others."""
    config = dns_filter_pb2.DnsFilterConfig(stat_prefix="dns")
    config.server_config.inline_dns_table.CopyFrom(dns_table(records))
    client = config.client_config
    client.resolver_timeout.CopyFrom(duration(_UPSTREAM_TIMEOUT))
    client.max_pending_lookups = _MOST_PENDING
    client.typed_dns_resolver_config.CopyFrom(_resolver(upstream))
    return listener_components_pb2.ListenerFilter(name="envoy.filters.udp.dns_filter", typed_config=typed(config))


def dns_table(records: Iterable[DnsRecord]) -> Any:
    """Say the addresses of names. Clients may keep an answer for half a minute."""
    table = dns_table_pb2.DnsTable()
    for record in records:
        domain = table.virtual_domains.add(name=record.host)
        domain.endpoint.address_list.address.extend(record.addresses)
        domain.answer_ttl.CopyFrom(duration(_TIME_TO_LIVE))
    return table


def _resolver(upstream: str) -> Any:
    """Say the one server that is asked, with names as they are: the client has added its search domains already."""
    cares = cares_dns_resolver_pb2.CaresDnsResolverConfig(resolvers=[address(upstream, _UPSTREAM_PORT)])
    cares.dns_resolver_options.no_default_search_domain = True
    return extension_pb2.TypedExtensionConfig(name="envoy.network.dns_resolver.cares", typed_config=typed(cares))
