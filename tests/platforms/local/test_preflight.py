"""What is said where a mesh cannot be made."""

import os
from pathlib import Path

import pytest

from lateen.platforms.local import preflight


def test_this_machine_can() -> None:
    assert preflight.problems() == ()
    assert str(preflight.envoy_binary()).endswith("envoy/_bin/envoy")


def test_missing_tools_are_named_with_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = {"nft", "unshare", "nsenter"}
    monkeypatch.setattr(preflight, "tool", lambda name: name if name in absent else f"/usr/bin/{name}")
    assert preflight.problems() == (
        "nft not found: install it, on Debian and Ubuntu with `apt-get install nftables`",
        "nsenter and unshare not found: install it, on Debian and Ubuntu with `apt-get install util-linux`",
    )


@pytest.mark.parametrize(
    ("path", "bad", "setting"),
    [
        ("kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
        ("kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
    ],
)
def test_a_forbidden_user_namespace_names_the_switch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str, bad: str, setting: str
) -> None:
    switch = tmp_path / path
    switch.parent.mkdir()
    switch.write_text(f"{bad}\n")
    monkeypatch.setattr(preflight, "SWITCHES_DIRECTORY", tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 1001)
    monkeypatch.setattr(preflight, "tool", lambda name: "/usr/bin/false" if name == "unshare" else f"/usr/bin/{name}")
    (problem,) = preflight.problems()
    assert problem == (
        f"ordinary users may not make network namespaces here: as root run `sysctl -w {setting}`, or run lateen as root"
    )


def test_a_caged_root_is_told_what_the_container_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(preflight, "tool", lambda name: "/usr/bin/false" if name == "unshare" else f"/usr/bin/{name}")
    (problem,) = preflight.problems()
    assert "inside a container, start it with --privileged" in problem
