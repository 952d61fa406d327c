"""Details: the facts about a book."""

import serving
import web


def details(request: web.Request) -> web.Response:
    """The facts about the book with this id. Every id is the same book, as suits a sample."""
    return web.json_response(
        {
            "id": request.integer("id"),
            "author": "William Shakespeare",
            "year": 1595,
            "type": "paperback",
            "pages": 200,
            "publisher": "PublisherA",
            "language": "English",
            "ISBN-10": "1234567890",
            "ISBN-13": "123-1234567890",
        }
    )


ROUTES = (
    web.healthy("Details"),
    web.get("/details/(?P<id>[^/]+)", details),
)

if __name__ == "__main__":
    serving.serve("details", ROUTES)
