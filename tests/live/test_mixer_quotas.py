"""Mixer's quotas on Bookinfo, written as they were documented: redisquota with an override for one source."""

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.live.mesh import EXAMPLES, Caller, Mesh, settle, until

PAGE = "http://productpage:9080/productpage"
QUOTA = (EXAMPLES / "bookinfo" / "mixer" / "rate-limit-productpage-redis.yaml").read_text()


@pytest.fixture(scope="module")
def sleep(bookinfo: Mesh) -> Iterator[Caller]:
    with bookinfo.call_from("deploy/sleep") as caller:
        yield caller


def test_each_source_has_its_quota_in_redis_and_one_source_another(bookinfo: Mesh, sleep: Caller) -> None:
    def statuses(source: str) -> Counter[int]:
        return Counter(one.status for one in sleep.requests(PAGE, 8, headers={"x-forwarded-for": source}))

    with bookinfo.having(QUOTA):
        bookinfo.ready("redis")
        until(lambda: statuses("10.0.0.1")[429] >= 6, what="the quota of one source to be used up")
        refused = until(lambda: next((one for one in sleep.requests(PAGE, 4) if one.status == 429), None))
        assert refused is not None
        assert refused.body.startswith("RESOURCE_EXHAUSTED:redishandler.handler.istio-system:")
        assert statuses("10.28.11.20") == {200: 8}
    settle(sleep, PAGE)
