"""What is remembered of checks: found by the attributes that were looked at, and by nothing else."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lateen.mixer.check_cache import CheckCache
from lateen.mixer.values import Attributes, Tracked

METHOD, HEADERS, USER = ("request.method", None), ("request.headers", None), ("request.headers", "user")


def bag(method: str = "GET", **headers: str) -> Attributes:
    return Attributes({"request.method": method, "request.headers": headers})


def test_a_result_is_found_by_what_was_looked_at() -> None:
    cache: CheckCache[str] = CheckCache()
    cache.remember({METHOD, USER}, bag(user="anna"), "yes", until=10, uses=5)
    assert cache.find(bag(user="anna", other="x"), now=0) == "yes"
    assert cache.find(bag(user="jason"), now=0) is None
    assert cache.find(bag("POST", user="anna"), now=0) is None


def test_what_was_absent_has_to_be_absent() -> None:
    cache: CheckCache[str] = CheckCache()
    cache.remember({USER}, bag(), "nobody", until=10, uses=5)
    assert cache.find(bag(), now=0) == "nobody"
    assert cache.find(bag(user=""), now=0) is None


def test_a_whole_map_is_compared_as_a_whole() -> None:
    cache: CheckCache[str] = CheckCache()
    cache.remember({HEADERS}, bag(a="1", b="2"), "yes", until=10, uses=5)
    assert cache.find(bag(b="2", a="1"), now=0) == "yes"
    assert cache.find(bag(a="1"), now=0) is None


def test_results_end_with_their_time_and_their_uses() -> None:
    cache: CheckCache[str] = CheckCache()
    cache.remember({METHOD}, bag(), "yes", until=10, uses=2)
    assert [cache.find(bag(), now=0) for _ in range(3)] == ["yes", "yes", None]
    cache.remember({METHOD}, bag(), "yes", until=10, uses=2)
    assert cache.find(bag(), now=10) is None
    assert len(cache) == 0


def test_what_may_not_be_used_again_is_not_kept() -> None:
    cache: CheckCache[str] = CheckCache()
    cache.remember({METHOD}, bag(), "yes", until=10, uses=0)
    assert (len(cache), cache.shapes) == (0, 0)


def test_the_one_not_asked_for_longest_goes_first() -> None:
    cache: CheckCache[str] = CheckCache(most_results=2)
    for user in ("a", "b"):
        cache.remember({USER}, bag(user=user), user, until=10, uses=9)
    cache.find(bag(user="a"), now=0)
    cache.remember({USER}, bag(user="c"), "c", until=10, uses=9)
    assert [cache.find(bag(user=user), now=0) for user in "abc"] == ["a", None, "c"]


def test_there_are_never_more_shapes_than_allowed_and_none_without_results() -> None:
    cache: CheckCache[str] = CheckCache(most_shapes=2)
    for number in range(5):
        cache.remember({("request.headers", str(number))}, bag(), str(number), until=10, uses=9)
    assert (cache.shapes, len(cache)) == (2, 2)


def test_new_rules_forget_everything() -> None:
    cache: CheckCache[str] = CheckCache()
    cache.remember({METHOD}, bag(), "yes", until=10, uses=5)
    cache.clear()
    assert cache.find(bag(), now=0) is None


NAMES = st.sampled_from(["a", "b", "c"])
BAGS = st.dictionaries(NAMES, st.sampled_from(["1", "2"]))


@settings(deadline=None)
@given(st.lists(st.tuples(BAGS, st.lists(NAMES, max_size=3)), max_size=30))
def test_a_remembered_result_is_the_one_that_would_be_found_anew(asked: list[tuple[dict[str, str], list[str]]]) -> None:
    """A check that looks at attributes one after another, as far as each tells it to: the same way each time."""
    cache: CheckCache[str] = CheckCache(most_results=5, most_shapes=3)

    def check(tracked: Tracked) -> str:
        first = tracked.get("a")
        return f"{first}{tracked.get('b') if first == '1' else tracked.get('c')}"

    for values, _ in asked:
        found = Attributes(values)
        tracked = Tracked(found)
        result = check(tracked)
        known = cache.find(found, now=0)
        assert known in (None, result)
        cache.remember(tracked.referenced, found, result, until=1, uses=3)
