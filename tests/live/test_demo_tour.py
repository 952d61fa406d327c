"""The tour of `make demo`, as a user runs it: it passes, it can be interrupted, and nothing of it is left."""

import contextlib
import os
import pty
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.live.mesh import EXAMPLES, Footprint, Mesh, Remains, until
from tests.platforms.local.live_mesh import home_of, users

TOUR = EXAMPLES / "demo" / "tour.py"


@pytest.fixture(params=users())
def demo(request: pytest.FixtureRequest) -> Iterator[Mesh]:
    """The demo's mesh, as root and as an ordinary user; nothing of it is left in the end."""
    with home_of(request.param) as (base, prefix):
        base.chmod(0o755)
        mesh = Mesh(request.param, base, prefix)
        before = Footprint.now()
        yield mesh
        left = Remains.of(mesh)
        mesh.run("down")
        assert not left
        assert list(base.glob("lateen*")) == []
        assert Footprint.now().links <= before.links


@contextlib.contextmanager
def started(mesh: Mesh, **streams: int) -> Iterator[subprocess.Popen[str]]:
    """The tour, and its end in any case."""
    environment = {**mesh.environment, "TMPDIR": str(mesh.base), "TERM": "xterm"}
    argv = [*mesh.prefix, mesh.python, str(TOUR), "--name", mesh.name]
    process = subprocess.Popen(
        argv, env=environment, cwd=TOUR.parents[2], stderr=subprocess.STDOUT, text=True, **streams
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_without_a_terminal_every_step_keeps_its_promise(demo: Mesh) -> None:
    with started(demo, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert "all 11 steps did what they promise" in said
    assert "because of reviews.yaml:10, header end-user exact jason" in said
    assert "4 ways, 4 by mutual TLS" in said and "reviews-v3 calls ratings: " in said
    assert "spiffe://cluster.local/ns/default/sa/bookinfo-reviews calls ratings" in said
    assert "stranger calls ratings: reset" in said
    assert "ratings: 403 RBAC: access denied" in said
    assert "because of ratings-viewer.yaml:12, AuthorizationPolicy default/ratings-viewer spec.rules[0]" in said
    assert "3 x 200" in said and "ratings-limit.yaml removed: 10 x 200" in said
    assert "\x1b" not in said


def test_ctrl_c_in_a_terminal_ends_everything(demo: Mesh) -> None:
    with a_terminal() as (end, shown), started(demo, stdin=end, stdout=end) as process:
        until(lambda: "counting" in shown(), 60, "the first step")
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert "nothing of the demo is left" in shown()


@contextlib.contextmanager
def a_terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """A terminal's end for a program, and what the program has written to it."""
    ours, theirs = pty.openpty()
    written = bytearray()

    def read() -> None:
        with contextlib.suppress(OSError):
            while piece := os.read(ours, 65536):
                written.extend(piece)

    threading.Thread(target=read, daemon=True).start()
    try:
        yield theirs, lambda: written.decode(errors="replace")
    finally:
        os.close(theirs)
        os.close(ours)
