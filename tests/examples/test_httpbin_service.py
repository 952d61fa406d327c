"""httpbin: it tells what it was asked, and answers as it is told."""

import contextlib
import socket
import time

import pytest

from .conftest import Running, Start, ask_on


@pytest.fixture
def httpbin(start: Start) -> Running:
    return start("httpbin", SERVICE_VERSION="v2")


def exchange(service: Running, request: bytes) -> bytes:
    """Sends bytes, and reads until the service closes."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_get_tells_what_was_asked(httpbin: Running) -> None:
    document = httpbin.ask("/get?a=1&b=2&b=3", x_test="yes").json
    assert document["args"] == {"a": "1", "b": ["2", "3"]}
    assert document["url"] == f"http://127.0.0.1:{httpbin.port}/get?a=1&b=2&b=3"
    assert document["origin"] == "127.0.0.1"


def test_headers_keep_their_case(httpbin: Running) -> None:
    reply = httpbin.ask("/headers", **{"X-CamelCase": "1", "x-lower": "2"})
    assert reply.json["headers"].items() >= {"X-CamelCase": "1", "x-lower": "2"}.items()


def test_post_tells_body_form_and_json(httpbin: Running) -> None:
    as_json = httpbin.ask("/post", "POST", b'{"a": [1]}').json
    assert (as_json["json"], as_json["data"]) == ({"a": [1]}, '{"a": [1]}')
    form = httpbin.ask("/post", "POST", b"a=1", content_type="application/x-www-form-urlencoded").json
    assert (form["form"], form["data"]) == ({"a": "1"}, "")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_anything_names_method_and_version(httpbin: Running, method: str) -> None:
    reply = httpbin.ask("/anything/below/it", method)
    answered = (reply.json["method"], reply.json["version"], reply.json["podname"])
    assert answered == (method, "v2", "httpbin-pod")
    assert (reply.headers["x-version"], reply.headers["x-pod"]) == ("v2", "httpbin-pod")


def test_ip_believes_the_proxy(httpbin: Running) -> None:
    assert httpbin.ask("/ip").json == {"origin": "127.0.0.1"}
    assert httpbin.ask("/ip", x_forwarded_for="10.1.2.3").json == {"origin": "10.1.2.3"}


@pytest.mark.parametrize("code", [200, 204, 404, 418, 503])
def test_status_is_as_told(httpbin: Running, code: int) -> None:
    assert httpbin.ask(f"/status/{code}").status == code


def test_status_follows_the_odds(httpbin: Running) -> None:
    with contextlib.closing(httpbin.connect()) as connection:
        given = [ask_on(connection, "/status/200:0.5,500:0.5").status for _ in range(60)]
        assert set(given) == {200, 500}
        assert {ask_on(connection, "/status/200:1,500:0").status for _ in range(20)} == {200}
    for nonsense in ("fine", "99", "200:-1", "200:0", "200:nan"):
        assert httpbin.ask(f"/status/{nonsense}").status == 400


def test_delay_is_as_long_as_told(httpbin: Running) -> None:
    began = time.monotonic()
    assert httpbin.ask("/delay/0.3").status == 200
    assert 0.3 <= time.monotonic() - began < 3
    assert httpbin.ask("/delay/soon").status == 400


def test_stream_sends_lines_in_chunks(httpbin: Running) -> None:
    reply = httpbin.ask("/stream/3")
    assert reply.headers["transfer-encoding"] == "chunked"
    assert len(reply.text.splitlines()) == 3


def test_bytes_are_as_many_as_told(httpbin: Running) -> None:
    assert len(httpbin.ask("/bytes/5000").body) == 5000


def test_response_headers_are_as_told(httpbin: Running) -> None:
    assert httpbin.ask("/response-headers?x-told=yes").headers["x-told"] == "yes"
    assert httpbin.ask("/response-headers?x-told=a%0d%0ab:c").status == 400
    assert httpbin.ask("/response-headers?x%0d%0a=b").status == 400
    assert httpbin.ask("/response-headers?Content-Length=1").status == 400


def test_redirect_goes_where_told(httpbin: Running) -> None:
    reply = httpbin.ask("/redirect-to?url=/get&status_code=307")
    assert (reply.status, reply.headers["location"]) == (307, "/get")
    assert httpbin.ask("/redirect-to").status == 400


def test_cookies_are_set_and_told(httpbin: Running) -> None:
    assert httpbin.ask("/cookies", cookie="a=1; b=2").json == {"cookies": {"a": "1", "b": "2"}}
    reply = httpbin.ask("/cookies/set?a=1")
    assert (reply.status, reply.headers["set-cookie"]) == (302, "a=1; Path=/")


def test_user_agent_is_told(httpbin: Running) -> None:
    assert httpbin.ask("/user-agent", user_agent="tester").json == {"user-agent": "tester"}


def test_head_has_no_body_and_keeps_the_connection(httpbin: Running) -> None:
    with contextlib.closing(httpbin.connect()) as connection:
        for path in ("/get", "/stream/3"):
            assert ask_on(connection, path, "HEAD").body == b""
        assert ask_on(connection, "/get").status == 200


def test_a_chunked_body_is_read(httpbin: Running) -> None:
    request = b"POST /post HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = exchange(httpbin, request + b"2;x=y\r\nab\r\n3\r\ncde\r\n0\r\ntrailer: 1\r\n\r\n")
    assert b'"data":"abcde"' in answer


@pytest.mark.parametrize(
    ("header", "status"),
    [(b"content-length: -1", b"400"), (b"content-length: x", b"400"), (b"content-length: 99999999", b"413")],
)
def test_a_body_of_no_size_ends_the_connection(httpbin: Running, header: bytes, status: bytes) -> None:
    answer = exchange(httpbin, b"POST /post HTTP/1.1\r\nhost: a\r\n" + header + b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 " + status)


def test_the_client_that_expects_a_go_ahead_gets_it(httpbin: Running) -> None:
    with socket.create_connection(("127.0.0.1", httpbin.port), timeout=5) as connection:
        connection.sendall(b"POST /post HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        connection.sendall(b"x")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
