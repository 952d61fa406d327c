"""What is recognised as left over, and what is not."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from lateen.platforms.local import leftovers, lock, procfs
from lateen.platforms.local.leftovers import Ledger, Recorded


def sleeping(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], env={"PATH": os.environ["PATH"], **environment})


def test_only_what_bears_a_sign_of_this_mesh_is_killed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    recorded, marked, stranger, reused = (
        sleeping(environment)
        for environment in ({}, leftovers.markers("m", tmp_path), leftovers.markers("m", tmp_path / "other"), {})
    )
    ledger.add_process(recorded.pid, procfs.start_time(recorded.pid) or 0)
    ledger.add_process(reused.pid, 1)
    ledger.add_network(procfs.network_namespace(os.getpid()) or 0)
    (tmp_path / "logs").mkdir()
    descriptor = lock.acquire(tmp_path)
    try:
        assert leftovers.clean("m", tmp_path) == ()
        assert [recorded.wait(5), marked.wait(5)] == [-9, -9]
        assert (stranger.poll(), reused.poll()) == (None, None)
        assert [entry.name for entry in tmp_path.iterdir()] == [lock.FILE]
    finally:
        for process in (recorded, marked, stranger, reused):
            process.kill()
            process.wait()
        os.close(descriptor or 0)


def test_a_ledger_of_another_boot_says_nothing_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add_network(4026532000)
    with (tmp_path / leftovers.LEDGER).open("a") as file:
        file.write('{"pid": 12')
    assert leftovers.read_ledger(tmp_path) == Recorded(networks=frozenset({4026532000}))
    (tmp_path / leftovers.LEDGER).write_text(json.dumps({"boot": "another"}) + '\n{"pid": 1, "start_time": 2}\n')
    assert leftovers.read_ledger(tmp_path) == Recorded()
    assert leftovers.read_ledger(tmp_path / "nowhere") == Recorded()


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces of its own are tried as root")
def test_a_namespace_number_that_another_mesh_has_now_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    script = "nft add table ip lateen && echo made && exec sleep 60"
    holder = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", script],
        env={**os.environ, **leftovers.markers("other", tmp_path / "other")},
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"made\n"
        network = procfs.network_namespace(holder.pid)
        ledger.add_network(network or 0)
        assert leftovers.survivors("m", tmp_path, leftovers.read_ledger(tmp_path)) == set()
        ours = leftovers.survivors("other", tmp_path / "other", Recorded())
        assert holder.pid in ours
    finally:
        holder.kill()
        holder.wait()
