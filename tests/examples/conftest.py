"""Runs example services as plain processes on loopback, without a mesh."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(frozen=True)
class Running:
    """A service that answers on a port of loopback."""

    process: subprocess.Popen[str]
    port: int

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, /, **headers: str) -> Reply:
        connection = self.connect()
        with contextlib.closing(connection):
            return ask_on(connection, path, method, body, **headers)

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)


def ask_on(
    connection: http.client.HTTPConnection,
    path: str,
    method: str = "GET",
    body: bytes | None = None,
    /,
    **headers: str,
) -> Reply:
    """Asks on a connection; `end_user="jason"` is the header `end-user`."""
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    fields = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, fields, response.read())


Start = Callable[..., Running]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a service, with the environment given; all are stopped in the end."""
    started: list[subprocess.Popen[str]] = []

    def start_service(name: str, port: int = 0, **environment: str) -> Running:
        folder = EXAMPLES / ("httpbin" if name == "httpbin" else "bookinfo")
        script = "httpbin.py" if name == "httpbin" else f"services/{name}.py"
        process = subprocess.Popen(
            [sys.executable, script],
            cwd=folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(EXAMPLES / "bookinfo" / "services"),
                "HOSTNAME": f"{name}-pod",
                "PORT": str(port),
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        greeting = process.stdout.readline()
        assert "listens on port" in greeting, greeting + process.stdout.read()
        return Running(process, int(greeting.split()[-1]))

    yield start_service
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def at(service: str, port: int) -> dict[str, str]:
    """The environment that sends the calls for a service to a port of loopback."""
    return {f"{service.upper()}_HOSTNAME": "127.0.0.1", f"{service.upper()}_SERVICE_PORT": str(port)}
