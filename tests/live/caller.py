"""Makes calls as it is told on standard input and tells on standard output what came of them: a JSON value a line each.

It runs where the calls shall come from, on the host or in a workload's network, with whatever Python is there; so it
needs nothing but the standard library.
"""

import http.client
import json
import socket
import sys
import threading
import time
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

PAUSE_SECONDS = 0.004
FAILURES_TOLD = 10


def request(ask: dict[str, Any], connection: http.client.HTTPConnection | None = None) -> dict[str, Any]:
    """One HTTP request, on a connection of its own where none is given; status 0 where no answer came."""
    url = urlsplit(ask["url"])
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    used = connection or connect(ask)
    began = time.monotonic()
    try:
        used.request(ask.get("method", "GET"), target, ask.get("body"), ask.get("headers", {}))
        response = used.getresponse()
        body = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        used.close()
        return {"status": 0, "headers": {}, "body": "", "error": f"{type(error).__name__}: {error}", "seconds": 0}
    finally:
        if connection is None:
            used.close()
    headers = {name.lower(): value for name, value in response.getheaders()}
    seconds = time.monotonic() - began
    return {"status": response.status, "headers": headers, "body": body, "error": "", "seconds": seconds}


def connect(ask: dict[str, Any]) -> http.client.HTTPConnection:
    """A connection, not opened yet, to where the URL points."""
    url = urlsplit(ask["url"])
    return http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=ask.get("timeout", 15))


def requests(ask: dict[str, Any]) -> list[dict[str, Any]]:
    """`count` equal requests, `at_once` of them at a time, each on a connection of its own."""
    answers: list[dict[str, Any]] = []
    places = threading.Semaphore(ask.get("at_once", 1))

    def one() -> None:
        with places:
            answers.append(request(ask))

    threads = [threading.Thread(target=one) for _ in range(ask.get("count", 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def talk(ask: dict[str, Any]) -> dict[str, Any]:
    """One TCP conversation: what the server says first (`greeting`), and what it says to `send`."""
    said = {"greeting": "", "reply": "", "error": ""}
    try:
        with socket.create_connection((ask["host"], ask["port"]), timeout=ask.get("timeout", 5)) as talking:
            if ask.get("server_first"):
                said["greeting"] = talking.recv(1000).decode(errors="replace")
            if ask.get("send"):
                talking.sendall(ask["send"].encode())
                said["reply"] = talking.recv(1000).decode(errors="replace")
    except OSError as error:
        said["error"] = type(error).__name__
    return said


def resolve(ask: dict[str, Any]) -> list[str]:
    """The addresses of a name; none where there is no such name."""
    try:
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(ask["host"], None, socket.AF_INET)})
    except socket.gaierror:
        return []


class Load:
    """Requests without end from a few connections that are kept, until it is told to stop."""

    def __init__(self, ask: dict[str, Any]) -> None:
        self._ask = ask
        self._ends = threading.Event()
        self._counts: Counter[str] = Counter()
        self._failures: list[str] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(ask.get("connections", 4))]
        for thread in self._threads:
            thread.start()

    def told(self) -> dict[str, Any]:
        """What came of the requests so far."""
        counts = dict(self._counts)
        return {"requests": sum(counts.values()), "counts": counts, "failures": self._failures[:FAILURES_TOLD]}

    def stop(self) -> dict[str, Any]:
        """Finishes what is under way."""
        self._ends.set()
        for thread in self._threads:
            thread.join()
        return self.told()

    def _run(self) -> None:
        connection = connect(self._ask)
        while not self._ends.is_set():
            answer = request(self._ask, connection)
            outcome = answer["headers"].get("x-version", "") if self._ask.get("by_version") else answer["status"]
            self._counts[str(outcome)] += 1
            if answer["status"] != 200:
                problem = answer["error"] or answer["body"][:200]
                self._failures.append(f"{time.strftime('%H:%M:%S')} {answer['status']} {problem}")
            time.sleep(PAUSE_SECONDS)
        connection.close()


def main() -> None:
    """Does what each line says."""
    load: Load | None = None
    for line in sys.stdin:
        ask = json.loads(line)
        does = ask["do"]
        answer: object = None
        if does == "load":
            load = Load(ask)
        elif does == "look" and load:
            answer = load.told()
        elif does == "stop" and load:
            answer = load.stop()
        else:
            answer = {"requests": requests, "talk": talk, "resolve": resolve}[does](ask)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
