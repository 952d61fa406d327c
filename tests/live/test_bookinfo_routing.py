"""The published routing rules for Bookinfo, each with its documented effect on pages."""

import re
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.live.mesh import CALLER, EXAMPLES, Caller, Mesh
from tests.live.test_new_user import reviewers
from tests.platforms.local.live_mesh import users

# What a rule does to requests does not depend on who has started the mesh.
pytestmark = pytest.mark.parametrize("bookinfo", users()[:1], indirect=True, scope="session")

ROUTING = EXAMPLES / "bookinfo" / "routing"


@pytest.fixture
def browser(bookinfo: Mesh) -> Iterator[Caller]:
    """Calls from the host."""
    with Caller([*bookinfo.prefix, bookinfo.python, str(CALLER)], bookinfo.environment) as caller:
        yield caller


@pytest.fixture(autouse=True)
def first_rules(bookinfo: Mesh) -> Iterator[None]:
    """After each test everything is v1 again."""
    yield
    bookinfo.apply((ROUTING / "virtual-service-all-v1.yaml").read_text())


def use(mesh: Mesh, *names: str) -> None:
    """Applies some of the published files, as a user does."""
    for name in names:
        mesh.do("apply", "-f", ROUTING / f"{name}.yaml")
        mesh.do("wait", f"vs/{'ratings' if 'ratings' in name else 'reviews'}")


def stars(caller: Caller, mesh: Mesh, user: str = "") -> str:
    """The colour of the stars that a user sees; `none` for reviews without."""
    headers = {"cookie": f"user={user}"} if user else {}
    answer = caller.get(f"{mesh.url()}/api/v1/products/0/reviews", headers=headers)
    assert answer.status == 200, answer
    ratings = [review.get("rating", {}) for review in answer.json["reviews"]]
    return str(ratings[0].get("color") or ("error" if ratings[0] else "none"))


def test_all_v1_shows_no_stars(bookinfo: Mesh, browser: Caller) -> None:
    use(bookinfo, "virtual-service-all-v1")
    assert {stars(browser, bookinfo) for _ in range(6)} == {"none"}


def test_v3_shows_red_stars(bookinfo: Mesh, browser: Caller) -> None:
    use(bookinfo, "virtual-service-reviews-v3")
    assert {stars(browser, bookinfo) for _ in range(6)} == {"red"}


def test_jason_tries_v2(bookinfo: Mesh, browser: Caller) -> None:
    use(bookinfo, "virtual-service-reviews-test-v2")
    assert (stars(browser, bookinfo, "jason"), stars(browser, bookinfo), stars(browser, bookinfo, "anna")) == (
        "black",
        "none",
        "none",
    )


def test_jason_has_v2_and_others_v3(bookinfo: Mesh, browser: Caller) -> None:
    use(bookinfo, "virtual-service-reviews-jason-v2-v3")
    assert (stars(browser, bookinfo, "jason"), stars(browser, bookinfo)) == ("black", "red")


@pytest.mark.parametrize(
    "name, other, least, most",
    [("reviews-50-v3", "reviews-v3", 30, 70), ("reviews-90-10", "reviews-v2", 1, 30)],
)
def test_reviews_are_shared_out(bookinfo: Mesh, browser: Caller, name: str, other: str, least: int, most: int) -> None:
    use(bookinfo, f"virtual-service-{name}")
    found: Counter[str] = reviewers(browser, bookinfo.url(), 100)
    assert set(found) == {"reviews-v1", other}
    assert least <= found[other] <= most, found


def test_an_abort_hides_the_stars_of_jason_at_once(bookinfo: Mesh, browser: Caller) -> None:
    use(bookinfo, "virtual-service-reviews-test-v2", "virtual-service-ratings-test-abort")
    page = browser.get(f"{bookinfo.url()}/productpage", headers={"cookie": "user=jason"})
    assert (page.status, page.seconds < 2) == (200, True)
    assert stars(browser, bookinfo, "jason") == "error"
    assert stars(browser, bookinfo) == "none"


def test_a_delay_loses_the_reviews_of_jason(bookinfo: Mesh, browser: Caller) -> None:
    use(bookinfo, "virtual-service-reviews-test-v2", "virtual-service-ratings-test-delay")
    page = browser.get(f"{bookinfo.url()}/productpage", headers={"cookie": "user=jason"})
    assert (page.status, 5.9 <= page.seconds <= 9) == (200, True), page.seconds
    assert re.search(r"reviews.{0,80}(not|un)", page.body, re.IGNORECASE | re.DOTALL)
    assert browser.get(f"{bookinfo.url()}/productpage").seconds < 2


def test_signing_in_makes_a_user(bookinfo: Mesh, browser: Caller) -> None:
    answer = browser.get(
        f"{bookinfo.url()}/login", method="POST", body="username=jason",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert answer.status in (302, 303)
    assert "jason" in answer.headers["set-cookie"]
