"""Ratings: how many stars each reviewer gives a book. Keeps what is posted for as long as it runs."""

import json

import serving
import web

MOST_STARS = 5


class Ratings:
    """The stars by book and reviewer."""

    def __init__(self) -> None:
        self._posted: dict[int, dict[str, int]] = {}

    def routes(self) -> tuple[web.Route, ...]:
        """What this service answers."""
        path = "/ratings/(?P<id>[^/]+)"
        return (
            web.healthy("Ratings"),
            web.get(path, self.read),
            web.Route(("POST", "PUT"), path, self.write),
        )

    def read(self, request: web.Request) -> web.Response:
        """The ratings of a book."""
        return self._ratings(request.integer("id"))

    def write(self, request: web.Request) -> web.Response:
        """Replaces the ratings of a book with the JSON object {reviewer: stars} of the body."""
        book = request.integer("id")
        self._posted[book] = stars_by_reviewer(request.body)
        return self._ratings(book)

    def _ratings(self, book: int) -> web.Response:
        return web.json_response({"id": book, "ratings": self._posted.get(book, {"Reviewer1": 5, "Reviewer2": 4})})


def stars_by_reviewer(body: bytes) -> dict[str, int]:
    """Reads {reviewer: stars}, each from 0 to five stars; refuses anything else."""
    try:
        ratings = json.loads(body)
    except ValueError:
        ratings = None
    if not isinstance(ratings, dict) or not all(_is_stars(stars) for stars in ratings.values()):
        raise web.Refused(f"ratings must be a JSON object of reviewer and stars, from 0 to {MOST_STARS}")
    return ratings


def _is_stars(value: object) -> bool:
    return type(value) is int and 0 <= value <= MOST_STARS


if __name__ == "__main__":
    serving.serve("ratings", Ratings().routes())
