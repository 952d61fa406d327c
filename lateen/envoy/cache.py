"""What was made of which plan object, for as long as somebody uses it.

The key is the object itself: objects that did not change are the same ones in successive plans. Nothing is held alive
here: what no proxy has any more is forgotten, so there is no bound to choose.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

from google.protobuf.message import Message

from lateen.envoy import clusters, endpoints, routes, secrets
from lateen.envoy.framing import field_of, frame, version
from lateen.envoy.http_filters import order
from lateen.envoy.side import Side
from lateen.envoy.values import type_url
from lateen.model.endpoint import Endpoint, select
from lateen.plan.types import Cluster, Guard, RouteTable, Secret, VirtualHost
from lateen.xds.order import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SECRET
from lateen.xds.resources import Resource

_VIRTUAL_HOSTS_FIELD: Final = 2


@dataclass(frozen=True, slots=True, weakref_slot=True)
class CachedResource(Resource):
    """A resource that keeps alive what it was made of, so that the identity of that stays its key."""

    sources: tuple[object, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class SerializedVirtualHost:
    """A virtual host as it stands in its route table."""

    source: VirtualHost
    frame: bytes


class ResourceCache:
    """What was made of plan objects, for as long as somebody uses it."""

    def __init__(self) -> None:
        self._resources: WeakValueDictionary[tuple[object, ...], CachedResource] = WeakValueDictionary()
        self._virtual_hosts: WeakValueDictionary[int, SerializedVirtualHost] = WeakValueDictionary()

    def __len__(self) -> int:
        return len(self._resources)

    def cluster(self, plan: Cluster) -> Resource:
        """Return a cluster's resource."""
        found = self._resources.get((CLUSTER, id(plan)))
        return found or self._add((CLUSTER, id(plan)), plan.name, clusters.cluster(plan), (plan,))

    def secret(self, plan: Secret) -> Resource:
        """Return a secret's resource."""
        found = self._resources.get((SECRET, id(plan)))
        return found or self._add((SECRET, id(plan)), plan.name, secrets.secret(plan), (plan,))

    def assignment(self, plan: Cluster, known: tuple[Endpoint, ...]) -> Resource:
        """Return the resource with those of a port's endpoints that a cluster has."""
        key = (
            ENDPOINT,
            id(known),
            plan.name,
            plan.labels,
            plan.includes_unready,
            plan.describes_endpoints,
            plan.spread,
        )
        found = self._resources.get(key)
        if found is not None:
            return found
        chosen = select(known, dict(plan.labels))
        message = endpoints.cluster_load_assignment(plan, chosen)
        return self._add(key, plan.name, message, (known,))

    def route_table(self, plan: RouteTable) -> Resource:
        """Return a route table's resource, joined from its virtual hosts, of which only changed ones are built anew."""
        found = self._resources.get((ROUTE, id(plan)))
        if found is not None:
            return found
        hosts = tuple(self._virtual_host(host) for host in plan.virtual_hosts)
        head = routes.route_table(plan.name, by_port=plan.by_port).SerializeToString(deterministic=True)
        body = b"".join([head, *(host.frame for host in hosts)])
        return self._add_serialized((ROUTE, id(plan)), plan.name, ROUTE, body, (plan, hosts))

    def policies(self, name: str, side: Side, guard: Guard) -> Resource:
        """Return the resource with the filters that a guard comes to; guards are compared by value."""
        key = (EXTENSION, name, side, guard)
        found = self._resources.get(key)
        return found or self._add(key, name, order.policy_filters(name, side, guard), ())

    def listener(self, make: Callable[..., Any], plan: object, *context: object) -> Resource:
        """Return the resource of the listener that `make(plan, *context)` says; the context is compared by value."""
        key = (LISTENER, make, id(plan), *context)
        found = self._resources.get(key)
        if found is not None:
            return found
        message = make(plan, *context)
        return self._add(key, message.name, message, (plan,))

    def _virtual_host(self, plan: VirtualHost) -> SerializedVirtualHost:
        found = self._virtual_hosts.get(id(plan))
        if found is None:
            body = routes.virtual_host(plan).SerializeToString(deterministic=True)
            found = SerializedVirtualHost(plan, field_of(_VIRTUAL_HOSTS_FIELD, body))
            self._virtual_hosts[id(plan)] = found
        return found

    def _add(self, key: tuple[object, ...], name: str, message: Message, sources: tuple[object, ...]) -> Resource:
        body = message.SerializeToString(deterministic=True)
        return self._add_serialized(key, name, type_url(message), body, sources)

    def _add_serialized(
        self, key: tuple[object, ...], name: str, url: str, body: bytes, sources: tuple[object, ...]
    ) -> Resource:
        digest = version(body)
        made = CachedResource(name, digest, frame(name, url, digest, body), sources)
        self._resources[key] = made
        return made
