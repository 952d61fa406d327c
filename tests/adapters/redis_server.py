"""A real Redis on a unix socket, for the time of a test."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ANSWERS_WITHIN_SECONDS = 10


@dataclass
class RedisServer:
    """A Redis that keeps nothing on disk; it can be killed and started again at the same place."""

    directory: Path
    _process: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self.directory / "redis.sock"

    @property
    def url(self) -> str:
        """How it is named in configuration."""
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = ["redis-server", "--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "777"]
        log = (self.directory / "redis.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*command, "--save", "", "--appendonly", "no", "--dir", str(self.directory)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + ANSWERS_WITHIN_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.directory / "redis.log").read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """End it without warning."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.socket.unlink(missing_ok=True)

    def hang(self, *, hangs: bool = True) -> None:
        """Let it take connections and answer nothing, or answer again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP if hangs else signal.SIGCONT)

    def _answers(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.socket))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        return False


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a Redis; its path is short, as those of unix sockets have to be."""
    if shutil.which("redis-server") is None:
        pytest.fail("redis-server is missing: run scripts/system-tools tests")
    with tempfile.TemporaryDirectory(prefix="lt-redis") as place:
        server = RedisServer(Path(place))
        server.start()
        try:
            yield server
        finally:
            server.kill()
