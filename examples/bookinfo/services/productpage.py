"""Productpage: the page that people see, and the same facts as JSON. It asks details, reviews and ratings."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import page
import serving
import upstream
import web

TIMEOUT_SECONDS = 3.0
REVIEWS_ATTEMPTS = 2
USER_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")

PRODUCTS: tuple[dict[str, Any], ...] = (
    {
        "id": 0,
        "title": "The Comedy of Errors",
        "descriptionHtml": (
            "Two brothers, both named Antipholus, and their two servants, both named Dromio, come to Ephesus "
            "on the same day without knowing of each other. The shortest of <b>Shakespeare's</b> plays, and "
            "an early one."
        ),
    },
)


@dataclass(frozen=True)
class Productpage:
    """The page and its API, on top of three services."""

    details: upstream.Upstream
    reviews: upstream.Upstream
    ratings: upstream.Upstream

    def routes(self) -> tuple[web.Route, ...]:
        """What this service answers."""
        product = "/api/v1/products/(?P<id>[^/]+)"
        return (
            web.healthy("Product page"),
            web.get("/(index.html)?", lambda _: web.redirect("/productpage")),
            web.get("/productpage", self.show),
            web.Route(("POST",), "/login", login),
            web.Route(("GET", "POST"), "/logout", logout),
            web.get("/api/v1/products", lambda _: web.json_response(PRODUCTS)),
            web.get(product, as_json(self.fetch_details)),
            web.get(product + "/reviews", as_json(self.fetch_reviews)),
            web.get(product + "/ratings", as_json(self.fetch_ratings)),
        )

    def show(self, request: web.Request) -> web.Response:
        """The page of the only book. When a service fails it is still a page, status 200, and says so."""
        product = PRODUCTS[0]
        html = page.productpage(
            product=product,
            user=signed_in_user(request),
            details=self.fetch_details(product["id"], request),
            reviews=self.fetch_reviews(product["id"], request),
            pod=web.pod_name(),
            version=web.service_version(),
        )
        return web.Response(HTTPStatus.OK, html.encode(), (("content-type", "text/html; charset=utf-8"),))

    def fetch_details(self, product: int, request: web.Request) -> page.Fetched:
        """The facts about the book."""
        return fetch(self.details, f"/details/{product}", request, "product details")

    def fetch_reviews(self, product: int, request: web.Request) -> page.Fetched:
        """The reviews of the book, asked for a second time when the first attempt fails: up to twice 3 s."""
        path = f"/reviews/{product}"
        return fetch(self.reviews, path, request, "product reviews", attempts=REVIEWS_ATTEMPTS)

    def fetch_ratings(self, product: int, request: web.Request) -> page.Fetched:
        """The ratings of the book."""
        return fetch(self.ratings, f"/ratings/{product}", request, "product ratings")


def fetch(service: upstream.Upstream, path: str, request: web.Request, subject: str, attempts: int = 1) -> page.Fetched:
    """What a service says on behalf of this request, or its failure, with the status to pass on."""
    began = time.monotonic()
    answer = None
    for _ in range(attempts):
        try:
            answer = service.get(path, onward_headers(request), TIMEOUT_SECONDS)
        except upstream.Unreachable as error:
            answer = None
            web.log(f"no {subject}: {error}")
        document = answer.json() if answer is not None and answer.status == HTTPStatus.OK else None
        if answer is not None and isinstance(document, dict):
            return page.Fetched(answer.status, document, time.monotonic() - began, answer.pod, answer.version)
    failed = answer is not None and answer.status != HTTPStatus.OK
    status = answer.status if answer is not None and failed else HTTPStatus.INTERNAL_SERVER_ERROR
    failure = {"error": f"{subject.capitalize()} are currently unavailable for this book."}
    return page.Fetched(int(status), failure, time.monotonic() - began)


def as_json(
    fetch_product: Callable[[int, web.Request], page.Fetched],
) -> Callable[[web.Request], web.Response]:
    """The API's answer to what is fetched for the product that the path names."""

    def answer(request: web.Request) -> web.Response:
        fetched = fetch_product(request.integer("id"), request)
        return web.json_response(fetched.document, fetched.status)

    return answer


def onward_headers(request: web.Request) -> dict[str, str]:
    """The headers for other services; who is signed in is told as `end-user`."""
    headers = request.forwarded_headers()
    user = signed_in_user(request)
    if user:
        headers["end-user"] = user
    return headers


def signed_in_user(request: web.Request) -> str:
    """The user whom the cookie names, or the empty string. Names are not proven here: this is a sample."""
    user = request.cookies().get("user", "")
    return user if USER_NAME.fullmatch(user) else ""


def login(request: web.Request) -> web.Response:
    """Signs in whoever gives a name; any password will do."""
    user = request.form().get("username", [""])[0].strip()
    if not USER_NAME.fullmatch(user):
        raise web.Refused("a user name has 1 to 64 letters, digits or . _ @ -")
    return _page_with_cookie(f"user={user}")


def logout(_: web.Request) -> web.Response:
    """Signs out."""
    return _page_with_cookie("user=; Max-Age=0")


def _page_with_cookie(cookie: str) -> web.Response:
    header = ("set-cookie", f"{cookie}; Path=/; HttpOnly; SameSite=Lax")
    return web.redirect("/productpage").with_headers(header)


def main() -> None:
    """Serves the page."""
    services = (upstream.Upstream.named(name) for name in ("details", "reviews", "ratings"))
    serving.serve("productpage", Productpage(*services).routes())


if __name__ == "__main__":
    main()
