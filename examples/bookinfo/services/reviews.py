"""Reviews: what two readers wrote about a book, and in versions v2 and v3 how many stars they gave it."""

import os
from dataclasses import dataclass
from typing import Any

import serving
import upstream
import web

TEXTS = (
    ("Reviewer1", "Two pairs of twins, one busy afternoon, not a dull minute. I laughed aloud on the bus."),
    ("Reviewer2", "Light as a feather, and quick. Read it aloud with friends: nobody will know who is who."),
)


@dataclass(frozen=True)
class Stars:
    """How a version shows ratings, and how long it waits for them."""

    color: str
    timeout_seconds: float


STARS_BY_VERSION: dict[str, Stars | None] = {
    "v1": None,
    # The impatient caller of this patient version is the lesson of fault injection: productpage gives up
    # after twice 3 s, so that a delay between 3 s and 10 s loses the reviews and not only the stars.
    "v2": Stars("black", 10.0),
    "v3": Stars("red", 2.5),
}


@dataclass(frozen=True)
class Reviews:
    """The reviews as one version gives them."""

    stars: Stars | None
    ratings: upstream.Upstream

    def routes(self) -> tuple[web.Route, ...]:
        """What this service answers."""
        return (web.healthy("Reviews"), web.get("/reviews/(?P<id>[^/]+)", self.read))

    def read(self, request: web.Request) -> web.Response:
        """The reviews of a book; without ratings they say so, and are still an answer."""
        book = request.integer("id")
        reviews: list[dict[str, Any]] = [{"reviewer": name, "text": text} for name, text in TEXTS]
        if self.stars is not None:
            ratings = self._ratings(book, request.forwarded_headers(), self.stars)
            reviews = [{**review, "rating": self._rating(ratings, review["reviewer"])} for review in reviews]
        return web.json_response(
            {
                "id": str(book),
                "podname": web.pod_name(),
                "clustername": os.environ.get("CLUSTER_NAME"),
                "reviews": reviews,
            }
        )

    def _ratings(self, book: int, headers: dict[str, str], stars: Stars) -> dict[str, int]:
        try:
            answer = self.ratings.get(f"/ratings/{book}", headers, stars.timeout_seconds)
        except upstream.Unreachable as error:
            web.log(f"no ratings: {error}")
            return {}
        if answer.status != 200:
            web.log(f"no ratings: status {answer.status}")
            return {}
        document = answer.json()
        ratings = document.get("ratings") if isinstance(document, dict) else None
        return ratings if isinstance(ratings, dict) else {}

    def _rating(self, ratings: dict[str, int], reviewer: str) -> dict[str, Any]:
        if self.stars is None or reviewer not in ratings:
            return {"error": "Ratings service is currently unavailable"}
        return {"stars": ratings[reviewer], "color": self.stars.color}


def main() -> None:
    """Serves the reviews of the version that SERVICE_VERSION names."""
    version = web.service_version()
    if version not in STARS_BY_VERSION:
        raise SystemExit(f"SERVICE_VERSION {version!r} is none of {', '.join(STARS_BY_VERSION)}")
    reviews = Reviews(STARS_BY_VERSION[version], upstream.Upstream.named("ratings"))
    serving.serve("reviews", reviews.routes())


if __name__ == "__main__":
    main()
