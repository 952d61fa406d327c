"""What http rules come to: one row a feature, as the description of the first route of the rule."""

from typing import Any

import pytest
import yaml

from lateen.plan import describe
from lateen.plan.types import ProxyPlan, VirtualHost
from tests.plan import worlds
from tests.plan.worlds import SHOP

CART = "outbound|80||cart.default.svc.cluster.local"
SAFE = {
    "attempts": 2,
    "conditions": ["connect-failure", "refused-stream", "unavailable", "cancelled", "retriable-status-codes"],
}


def virtual_host(plan: ProxyPlan, name: str = "cart.default.svc.cluster.local:80") -> VirtualHost:
    return next(host for table in plan.route_tables for host in table.virtual_hosts if host.name == name)


def rules(http: str) -> ProxyPlan:
    return worlds.plan(
        f"{SHOP}\n---\n"
        "{apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: cart},"
        f" spec: {{hosts: [cart], http: {http}}}}}",
    )


def first_route(rule: str) -> dict[str, Any]:
    route = describe.route(virtual_host(rules(f"[{rule}]")).routes[0])
    assert route.pop("from") == "VirtualService default/cart spec.http[0]"
    return route


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("{route: [{destination: {host: cart}}]}", {"to": CART, "retry": SAFE}),
        ("{name: all, timeout: 1.5s, route: [{destination: {host: cart}}]}",
         {"name": "all", "to": CART, "timeout": "1.5s", "retry": SAFE}),
        ("{timeout: 0s, route: [{destination: {host: cart}}]}", {"to": CART, "retry": SAFE}),
        ("{retries: {attempts: 0}, route: [{destination: {host: cart}}]}",
         {"to": CART, "retry": {"attempts": 0, "conditions": []}}),
        ("{retries: {attempts: 3}, route: [{destination: {host: cart}}]}",
         {"to": CART, "retry": SAFE | {"attempts": 3}}),
        ("{retries: {attempts: 1, perTryTimeout: 2s, retryOn: 'reset,503', retryRemoteLocalities: true, backoff: 1s,"
         " retryIgnorePreviousHosts: false}, route: [{destination: {host: cart}}]}",
         {"to": CART, "retry": {"attempts": 1, "conditions": ["reset", "retriable-status-codes"], "status codes": [503],
          "per try timeout": "2s", "backoff": "1s", "avoids previous hosts": False, "crosses localities": True}}),
        ("{fault: {delay: {fixedDelay: 10ms, percentage: {value: 0.1}}, abort: {grpcStatus: UNAVAILABLE, percentage:"
         " {value: 50}}}, route: [{destination: {host: cart}}]}",
         {"to": CART, "retry": SAFE,
          "fault": {"delay": "10ms", "delay percent": 0.1, "abort grpc status": 14, "abort percent": 50.0}}),
        ("{mirrors: [{destination: {host: cart, subset: v2}, percentage: {value: 5}}, {destination: {host: gone}}],"
         " route: [{destination: {host: cart}}]}",
         {"to": CART, "retry": SAFE,
          "mirrors": [{"cluster": "outbound|80|v2|cart.default.svc.cluster.local", "percent": 5.0}]}),
        ("{mirror: {host: cart, subset: v1}, route: [{destination: {host: cart}}]}",
         {"to": CART, "retry": SAFE, "mirrors": [{"cluster": "outbound|80|v1|cart.default.svc.cluster.local"}]}),
        ("{corsPolicy: {allowOrigins: [{regex: .*}], allowMethods: [GET], maxAge: 24h, allowCredentials: false,"
         " unmatchedPreflights: IGNORE}, route: [{destination: {host: cart}}]}",
         {"to": CART, "retry": SAFE,
          "cors": {"origins": [{"kind": "regex", "value": ".*"}], "methods": ["GET"], "max age": "86400s",
                   "credentials": False, "forwards unmatched preflights": False}}),
        ("{headers: {request: {set: {a: '1', host: x.example}, add: {b: '2'}, remove: [c]}, response: {remove: [d]}},"
         " route: [{destination: {host: cart}, headers: {request: {set: {':authority': y.example, e: '3'}}}}]}",
         {"to": {"cluster": CART, "authority": "y.example", "request headers": {"set": {"e": "3"}}}, "retry": SAFE,
          "rewrite": {"authority": "x.example"},
          "request headers": {"set": {"a": "1"}, "add": {"b": "2"}, "remove": ["c"]},
          "response headers": {"remove": ["d"]}}),
        ("{redirect: {uri: /x, derivePort: FROM_REQUEST_PORT}}",
         {"redirect": {"code": 301, "port": 80, "path": "/x", "keeps request port": True}}),
        ("{directResponse: {status: 418, body: {bytes: aGk_}}}", {"respond": {"status": 418, "body": "hi?"}}),
        ("{match: [{uri: {prefix: /a}, method: {exact: PUT}, scheme: {exact: http}, headers: {x: {}}, withoutHeaders:"
         " {y: {}}, queryParams: {q: {regex: '[a-z]+'}}}], redirect: {uri: /b}}",
         {"redirect": {"code": 301, "path": "/b"},
          "if": {"path": "prefix /a", "header :scheme": "exact http", "header :method": "exact PUT",
                 "header x": "present", "header y": "not present", "query q": "regex [a-z]+"}}),
    ],
)  # fmt: skip
def test_a_rule_becomes_a_route(rule: str, expected: dict[str, Any]) -> None:
    assert first_route(rule) == expected


def test_a_service_without_rules_is_reached_under_all_its_names() -> None:
    host = virtual_host(worlds.plan(SHOP))
    assert describe.virtual_host(host) == yaml.safe_load(f"""
        domains:
        - cart.default.svc.cluster.local
        - cart.default.svc
        - cart.default
        - cart
        - 10.96.0.1
        routes:
        - name: default
          to: {CART}
          retry: {SAFE}
          from: Service default/cart
        """)


def test_the_mesh_can_set_the_default_retries() -> None:
    plan = worlds.plan(SHOP, mesh={"defaultHttpRetryPolicy": {"attempts": 5, "retryOn": "5xx"}})
    (route,) = virtual_host(plan).routes
    assert describe.route(route)["retry"] == {"attempts": 5, "conditions": ["5xx"]}


def test_consistent_hashing_reaches_the_routes_and_binds_retries() -> None:
    plan = worlds.plan(
        SHOP + """
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: stock, namespace: depot}
spec:
  host: stock
  trafficPolicy: {loadBalancer: {consistentHash: {httpCookie: {name: user, ttl: 0s}}}}
""")  # fmt: skip
    (route,) = virtual_host(plan, "stock.depot.svc.cluster.local:80").routes
    described = describe.route(route)
    assert described["hash keys"] == [{"cookie": "user", "cookie ttl": "0s"}]
    assert described["retry"] == SAFE | {"avoids previous hosts": False}


@pytest.mark.parametrize(
    ("rule", "place", "message"),
    [
        ("{route: [{destination: {host: gone}}]}", "spec.http[0].route[0].destination",
         "host gone is no service that can be seen from here; the traffic is refused"),
        ("{route: [{destination: {host: cart, subset: v9}, weight: 1}, {destination: {host: cart}, weight: 1}]}",
         "spec.http[0].route[0].destination",
         "no DestinationRule for cart.default.svc.cluster.local defines subset v9; "
         "its share goes to the rule's other destinations, and is refused when none is left"),
        ("{route: [{destination: {host: cart, port: {number: 8080}}}]}", "spec.http[0].route[0].destination",
         "cart.default.svc.cluster.local has no port 8080, it has 80; the traffic is refused"),
        ("{mirrors: [{destination: {host: gone}}], route: [{destination: {host: cart}}]}",
         "spec.http[0].mirrors[0].destination",
         "host gone is no service that can be seen from here; nothing is mirrored there"),
        ("{fault: {abort: {httpStatus: 500}}, route: [{destination: {host: cart}}]}", "spec.http[0].fault.abort",
         "never acts: percentage is 0 or missing"),
        ("{match: [{headers: {'@request.auth.claims.group': {exact: a}}}], route: [{destination: {host: cart}}]}",
         "spec.http[0]", "never matches in sidecars: claims of tokens are read by gateways only"),
        ("{delegate: {name: gone}}", "spec.http[0].delegate",
         "has no effect: there is no such VirtualService without hosts"),
    ],
)  # fmt: skip
def test_what_is_doubtful_gets_a_diagnostic(rule: str, place: str, message: str) -> None:
    (diagnostic,) = rules(f"[{rule}]").diagnostics
    assert str(diagnostic) == f"VirtualService default/cart {place}: {message}"
