"""Bookinfo's services: their paths, shapes, headers, timeouts and end, as its users know them."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from .conftest import Running, Start, ask_on, at


class Recorder:
    """Answers every request with `{}`, and keeps the headers of the last one."""

    def __init__(self) -> None:
        recorder = self

        class Recording(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                recorder.headers = {name.lower(): value for name, value in self.headers.items()}
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                return

        self.headers: dict[str, str] = {}
        self.server = HTTPServer(("127.0.0.1", 0), Recording)
        self.port = self.server.server_port


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recording = Recorder()
    thread = threading.Thread(target=recording.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield recording
    recording.server.shutdown()
    thread.join()
    recording.server.server_close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def refused_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def start_bookinfo(start: Start, reviews_version: str = "v3") -> Running:
    """The four services, wired on loopback."""
    ratings = start("ratings")
    details = start("details")
    reviews = start("reviews", SERVICE_VERSION=reviews_version, **at("ratings", ratings.port))
    return start("productpage", **at("details", details.port), **at("reviews", reviews.port))


def test_details_tells_the_facts(start: Start) -> None:
    assert start("details").ask("/details/0").json == {
        "id": 0,
        "author": "William Shakespeare",
        "year": 1595,
        "type": "paperback",
        "pages": 200,
        "publisher": "PublisherA",
        "language": "English",
        "ISBN-10": "1234567890",
        "ISBN-13": "123-1234567890",
    }


def test_ratings_are_read_and_written(start: Start) -> None:
    ratings = start("ratings")
    assert ratings.ask("/ratings/0").json == {"id": 0, "ratings": {"Reviewer1": 5, "Reviewer2": 4}}
    written = {"id": 0, "ratings": {"Reviewer1": 1}}
    assert ratings.ask("/ratings/0", "POST", b'{"Reviewer1": 1}').json == written
    assert ratings.ask("/ratings/0").json == written
    assert ratings.ask("/ratings/0", "POST", b'{"Reviewer1": "many"}').status == 400


@pytest.mark.parametrize("service", ["details", "ratings", "reviews", "productpage"])
def test_health_is_asked_without_any_other_service(start: Start, service: str) -> None:
    assert start(service).ask("/health").status == 200


@pytest.mark.parametrize("path", ["/details/first", "/details/-1", "/details/²"])
def test_an_id_is_a_number(start: Start, path: str) -> None:
    reply = start("details").ask(path.encode().decode("latin-1").replace("Â²", "%C2%B2"))
    assert reply.status == 400


def test_unknown_paths_and_methods_are_refused(start: Start) -> None:
    details = start("details")
    assert details.ask("/nothing").status == 404
    refusal = details.ask("/details/0", "POST", b"{}")
    assert (refusal.status, refusal.headers["allow"]) == (405, "GET")


def test_reviews_v1_knows_no_stars(start: Start) -> None:
    document = start("reviews", SERVICE_VERSION="v1").ask("/reviews/0").json
    assert (document["id"], document["podname"], document["clustername"]) == ("0", "reviews-pod", None)
    assert [sorted(review) for review in document["reviews"]] == [["reviewer", "text"]] * 2


@pytest.mark.parametrize(("version", "color"), [("v2", "black"), ("v3", "red")])
def test_reviews_have_stars_in_the_color_of_their_version(start: Start, version: str, color: str) -> None:
    ratings = start("ratings")
    reviews = start("reviews", SERVICE_VERSION=version, **at("ratings", ratings.port))
    given = {review["reviewer"]: review["rating"] for review in reviews.ask("/reviews/0").json["reviews"]}
    assert given == {
        "Reviewer1": {"stars": 5, "color": color},
        "Reviewer2": {"stars": 4, "color": color},
    }


def test_reviews_come_without_stars_when_ratings_are_down(start: Start, refused_port: int) -> None:
    reply = start("reviews", SERVICE_VERSION="v2", **at("ratings", refused_port)).ask("/reviews/0")
    ratings = [review["rating"] for review in reply.json["reviews"]]
    assert (reply.status, ratings) == (200, [{"error": "Ratings service is currently unavailable"}] * 2)


def test_products_are_an_api(start: Start) -> None:
    ratings, details = start("ratings"), start("details")
    reviews = start("reviews", SERVICE_VERSION="v2", **at("ratings", ratings.port))
    services = {**at("details", details.port), **at("reviews", reviews.port), **at("ratings", ratings.port)}
    productpage = start("productpage", **services)
    assert [(product["id"], product["title"]) for product in productpage.ask("/api/v1/products").json] == [
        (0, "The Comedy of Errors")
    ]
    assert productpage.ask("/api/v1/products/0").json["author"] == "William Shakespeare"
    assert productpage.ask("/api/v1/products/0/reviews").json["podname"] == "reviews-pod"
    assert productpage.ask("/api/v1/products/0/ratings").json["ratings"] == {"Reviewer1": 5, "Reviewer2": 4}


def test_page_shows_stars_and_who_answered(start: Start) -> None:
    page = start_bookinfo(start, "v3").ask("/productpage")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for shown in ("The Comedy of Errors", "William Shakespeare", "stars red", "reviews-pod", "details-pod"):
        assert shown in page.text
    assert "http://" not in page.text.replace("http://www.w3.org/2000/svg", "")


def test_page_says_which_service_failed(start: Start, refused_port: int) -> None:
    services = {**at("details", refused_port), **at("reviews", refused_port)}
    page = start("productpage", **services).ask("/productpage")
    assert page.status == 200
    assert "Error fetching product details!" in page.text
    assert "Error fetching product reviews!" in page.text
    assert "status 500" in page.text


def test_api_passes_on_the_status_of_a_failure(start: Start) -> None:
    wrong = start("ratings")
    reply = start("productpage", **at("reviews", wrong.port)).ask("/api/v1/products/0/reviews")
    assert (reply.status, "unavailable" in reply.json["error"]) == (404, True)


def test_who_signs_in_arrives_as_end_user(start: Start, recorder: Recorder) -> None:
    productpage = start("productpage", **at("details", recorder.port), **at("reviews", recorder.port))
    form = {"content_type": "application/x-www-form-urlencoded"}
    signed_in = productpage.ask("/login", "POST", b"username=jason&passwd=x", **form)
    assert (signed_in.status, signed_in.headers["location"]) == (302, "/productpage")
    cookie = signed_in.headers["set-cookie"].partition(";")[0]
    page = productpage.ask("/productpage", cookie=cookie)
    assert recorder.headers["end-user"] == "jason"
    assert "<strong>jason</strong>" in page.text
    assert "Max-Age=0" in productpage.ask("/logout", cookie=cookie).headers["set-cookie"]
    productpage.ask("/productpage")
    assert "end-user" not in recorder.headers
    assert productpage.ask("/login", "POST", b"username=jason%0d%0aevil&passwd=x", **form).status == 400


@pytest.mark.parametrize(("service", "path"), [("productpage", "/productpage"), ("reviews", "/reviews/0")])
def test_trace_and_identity_are_passed_on(start: Start, recorder: Recorder, service: str, path: str) -> None:
    upstream = "reviews" if service == "productpage" else "ratings"
    caller = start(service, SERVICE_VERSION="v2", **at("details", recorder.port), **at(upstream, recorder.port))
    passed_on = {
        "x_request_id": "r-1",
        "x_b3_traceid": "463ac35c9f6413ad48485a3953bb6124",
        "x_b3_spanid": "a2fb4a1d1a96d312",
        "x_b3_parentspanid": "0020000000000001",
        "x_b3_sampled": "1",
        "x_b3_flags": "0",
        "b3": "0",
        "traceparent": "00-463ac35c9f6413ad48485a3953bb6124-a2fb4a1d1a96d312-01",
        "tracestate": "a=b",
        "x_ot_span_context": "c",
        "x_cloud_trace_context": "d",
        "user_agent": "tester",
        "authorization": "Bearer e",
        "cookie": "f=g",
        "end_user": "jason",
    }
    caller.ask(path, **passed_on, x_private="secret")
    expected = {name.replace("_", "-"): value for name, value in passed_on.items()}
    assert {name: recorder.headers.get(name) for name in expected} == expected
    assert "x-private" not in recorder.headers


def test_late_ratings_lose_the_reviews_of_v2(start: Start, silent_port: int) -> None:
    reviews = start("reviews", SERVICE_VERSION="v2", **at("ratings", silent_port))
    productpage = start("productpage", **at("reviews", reviews.port))
    began = time.monotonic()
    reply = productpage.ask("/api/v1/products/0/reviews")
    assert reply.status == 500
    assert 5.9 < time.monotonic() - began < 8.5


def test_late_ratings_lose_only_the_stars_of_v3(start: Start, silent_port: int) -> None:
    reviews = start("reviews", SERVICE_VERSION="v3", **at("ratings", silent_port))
    productpage = start("productpage", **at("reviews", reviews.port))
    reply = productpage.ask("/api/v1/products/0/reviews")
    assert reply.status == 200
    assert [review["rating"] for review in reply.json["reviews"]] == [
        {"error": "Ratings service is currently unavailable"}
    ] * 2


def test_a_restarted_service_is_found_again_at_once(start: Start) -> None:
    ratings = start("ratings")
    productpage = start("productpage", **at("ratings", ratings.port))
    assert productpage.ask("/api/v1/products/0/ratings").status == 200
    assert ratings.stop() == 0
    start("ratings", port=ratings.port)
    assert productpage.ask("/api/v1/products/0/ratings").status == 200


def test_sigterm_answers_what_has_begun(start: Start) -> None:
    httpbin = start("httpbin")
    with contextlib.closing(httpbin.connect()) as busy, contextlib.closing(httpbin.connect()) as idle:
        assert ask_on(idle, "/get").status == 200
        assert ask_on(busy, "/get").status == 200
        busy.request("GET", "/delay/0.7")
        httpbin.process.terminate()
        assert idle.sock.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            httpbin.ask("/get")
        reply = busy.getresponse()
        assert (reply.status, reply.getheader("connection")) == (200, "close")
        reply.read()
    assert httpbin.process.wait(timeout=5) == 0


def test_an_unknown_version_of_reviews_does_not_start(start: Start) -> None:
    with pytest.raises(AssertionError, match="none of v1, v2, v3"):
        start("reviews", SERVICE_VERSION="v9")
