"""Calls another service over kept connections."""

import contextlib
import http.client
import json
import os
import select
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT_CONNECTIONS = 64


class Unreachable(Exception):
    """The service gave no whole answer: no address, no connection, or no answer in time."""


@dataclass(frozen=True)
class Answer:
    """What the service said, and which pod said it (empty when the answer did not come from one of ours)."""

    status: int
    body: bytes
    pod: str
    version: str

    def json(self) -> Any:
        """The body as JSON; None when it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


class Upstream:
    """A service by its name and port, and the connections to it that wait for their next request."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self._idle: deque[http.client.HTTPConnection] = deque(maxlen=KEPT_CONNECTIONS)

    @classmethod
    def named(cls, service: str) -> "Upstream":
        """The service under its DNS name and port 9080.

        For `reviews`, REVIEWS_HOSTNAME and REVIEWS_SERVICE_PORT say otherwise; SERVICES_DOMAIN is a domain
        for all names that are not given so.
        """
        domain = os.environ.get("SERVICES_DOMAIN", "")
        host = os.environ.get(f"{service.upper()}_HOSTNAME") or ".".join(filter(None, (service, domain)))
        return cls(host, int(os.environ.get(f"{service.upper()}_SERVICE_PORT", "9080")))

    def get(self, path: str, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
        """Asks once. Each wait for the network, not the sum of them, may take the timeout."""
        try:
            kept = self._kept_connection()
            if kept is not None:
                # Its other side may have closed it just now, so that only a fresh connection tells the truth.
                with contextlib.suppress(ConnectionError):
                    return self._ask(kept, path, headers, timeout_seconds)
            fresh = http.client.HTTPConnection(self.host, self.port)
            return self._ask(fresh, path, headers, timeout_seconds)
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"{self.host}:{self.port}{path}: {error or type(error).__name__}") from error

    def _kept_connection(self) -> http.client.HTTPConnection | None:
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not _is_readable(connection.sock):
                return connection
            connection.close()
        return None

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
    ) -> Answer:
        connection.timeout = timeout_seconds
        if connection.sock is not None:
            connection.sock.settimeout(timeout_seconds)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            body = response.read()
        except BaseException:
            connection.close()
            raise
        if connection.sock is not None:
            self._idle.append(connection)
        pod, version = response.getheader("x-pod", ""), response.getheader("x-version", "")
        return Answer(response.status, body, pod, version)


def _is_readable(idle: socket.socket) -> bool:
    """Whether something came on a connection that waits for nothing: then it is its end."""
    poll = select.poll()
    poll.register(idle, select.POLLIN)
    return bool(poll.poll(0))
