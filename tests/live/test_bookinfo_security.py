"""The published policies for Bookinfo: with all of them the page comes as before, and nothing else does."""

from collections.abc import Iterator

import pytest

from tests.live.mesh import CALLER, EXAMPLES, Caller, Mesh, settle
from tests.platforms.local.live_mesh import users

# What a policy does to requests does not depend on who has started the mesh.
pytestmark = pytest.mark.parametrize("bookinfo", users()[:1], indirect=True, scope="session")

SECURITY = EXAMPLES / "bookinfo" / "security"
DENIED = (403, "RBAC: access denied")


@pytest.fixture
def secured(bookinfo: Mesh) -> Iterator[Mesh]:
    """Bookinfo with all policies, which are gone after the test."""
    with bookinfo.having("\n---\n".join(path.read_text() for path in sorted(SECURITY.glob("*.yaml")))):
        yield bookinfo
    with Caller([*bookinfo.prefix, bookinfo.python, str(CALLER)], bookinfo.environment) as browser:
        settle(browser, f"{bookinfo.url()}/productpage")
    with bookinfo.call_from("deploy/sleep") as sleep:
        for page in ("productpage:9080/productpage", "details:9080/details/0", "reviews:9080/reviews/0"):
            settle(sleep, f"http://{page}")


def test_the_page_comes_and_sleep_is_refused(secured: Mesh) -> None:
    with Caller([*secured.prefix, secured.python, str(CALLER)], secured.environment) as browser:
        pages = browser.requests(f"{secured.url()}/productpage", 12)
        assert {page.status for page in pages} == {200}
        assert not any("unavailable" in page.body for page in pages)
    with secured.call_from("deploy/sleep") as sleep:
        for host, path in (("productpage", "productpage"), ("details", "details/0"), ("reviews", "reviews/0")):
            answer = sleep.get(f"http://{host}:9080/{path}")
            assert (answer.status, answer.body) == DENIED, (host, answer)
    with secured.call_from("deploy/productpage-v1") as productpage:
        assert productpage.get("http://details:9080/details/0").status == 200
        answer = productpage.get("http://ratings:9080/ratings/0")
        assert (answer.status, answer.body) == DENIED
