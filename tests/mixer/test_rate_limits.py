"""What a described request is charged where all of the mesh counts together."""

from lateen.mixer import rate_limits
from lateen.mixer.quota import Counting, Grant
from lateen.mixer.rate_limits import Entries, counted, mesh_limits
from tests.plan import worlds

LIMITS = """
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: few}
spec:
  scope: GLOBAL
  store: {name: counts}
  limits:
  - rate: 3/minute
    by: [source.principal, request.path]
    overrides:
    - {values: {source.principal: cluster.local/ns/a/sa/vip}, rate: unlimited}
    - {values: {request.path: /slow}, rate: 1/10s, burst: 2}
  - {rate: 5/hour, algorithm: ROLLING_WINDOW, match: {when: "request.method == 'PUT'", queryParams: {q: {}}}}
---
apiVersion: lateen.dev/v1
kind: RateLimit
metadata: {name: own}
spec: {limits: [{rate: 3/minute}]}
"""
SNAPSHOT = worlds.snapshot(LIMITS, {"extensionProviders": [{"name": "counts", "redis": {"url": "redis://counts"}}]})
KNOWN = mesh_limits(SNAPSHOT)


def described(principal: str, path: str) -> Entries:
    return (("limit", "default/few[0]"), ("0", f"={principal}"), ("1", f"={path}"))


def test_only_limits_of_the_mesh_are_counted_and_each_where_it_says() -> None:
    assert sorted(KNOWN) == ["default/few[0]", "default/few[1]"]
    assert [store.url for store in rate_limits.stores_of(KNOWN)] == ["redis://counts"]
    assert rate_limits.needs_counting(SNAPSHOT)
    assert not rate_limits.needs_counting(worlds.snapshot(worlds.SHOP))


def test_each_tuple_of_values_is_a_count_of_its_own() -> None:
    found = [counted(KNOWN, described(*values), 1) for values in (("a", "/x"), ("b", "/x"), ("a", "/y"), ("a", "/x"))]
    keys = [one.charge.key for one in found if one is not None and one.charge is not None]
    assert len(keys) == 4
    assert len(set(keys)) == 3


def test_the_first_override_that_fits_decides() -> None:
    vip = counted(KNOWN, described("spiffe://cluster.local/ns/a/sa/vip", "/slow"), 1)
    slow = counted(KNOWN, described("spiffe://cluster.local/ns/a/sa/b", "/slow"), 1)
    assert vip is not None
    assert (vip.allowance, vip.charge) == (None, None)
    assert slow is not None
    assert slow.charge is not None
    assert (slow.charge.quota.counting, slow.charge.quota.most) == (Counting.REFILLED, 2)


def test_a_request_counts_where_its_conditions_hold() -> None:
    def found(condition: str) -> bool:
        return counted(KNOWN, (("limit", "default/few[1]"), ("query", "true"), ("when", condition)), 1) is not None

    assert (found("true"), found("false"), found("-")) == (True, False, False)


def test_what_nobody_knows_is_not_counted() -> None:
    assert counted(KNOWN, (("limit", "default/gone[0]"),), 1) is None
    assert counted(KNOWN, (), 1) is None
    assert counted(KNOWN, (("other", "default/few[0]"),), 1) is None


def test_values_may_be_as_long_as_clients_like() -> None:
    long, other = (counted(KNOWN, described("x" * 100_000, path), 1) for path in ("/a", "/b"))
    assert long is not None
    assert long.charge is not None
    assert other is not None
    assert other.charge is not None
    assert len(long.charge.key) < 200
    assert long.charge.key != other.charge.key


def test_a_charge_that_another_one_kept_back_was_not_too_much() -> None:
    found = counted(KNOWN, described("a", "/x"), 2)
    assert found is not None
    assert not rate_limits.is_over(found, Grant(0, 3, 0))
    assert rate_limits.is_over(found, Grant(0, 1, 0))
    assert not rate_limits.is_over(found, Grant(2, 0, 0))
