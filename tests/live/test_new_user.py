"""What somebody does in the first ten minutes: look, edit, mistype, call, kill; as root and as an ordinary user."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.mesh import CALLER, Caller, Mesh, until

REVIEWS = "outbound|9080||reviews.default.svc.cluster.local"
ALL_VERSIONS = {"reviews-v1", "reviews-v2", "reviews-v3"}


@pytest.fixture
def browser(bookinfo: Mesh) -> Iterator[Caller]:
    """Calls from the host."""
    with Caller([*bookinfo.prefix, bookinfo.python, str(CALLER)], bookinfo.environment) as caller:
        yield caller


@pytest.fixture
def inside(bookinfo: Mesh) -> Iterator[Caller]:
    """Calls from the workload sleep."""
    with bookinfo.call_from("deploy/sleep") as caller:
        yield caller


@pytest.fixture
def rules(bookinfo: Mesh) -> Iterator["Rules"]:
    """The followed file with the VirtualServices, as it was when the test ends."""
    found = Rules(bookinfo, bookinfo.base / "routing" / "virtual-service-all-v1.yaml")
    yield found
    found.restore()


class Rules:
    """A file of the mesh that is edited."""

    def __init__(self, mesh: Mesh, file: Path) -> None:
        self._mesh = mesh
        self.file = file
        self._original = file.read_text()

    def send_reviews_to(self, subset: str) -> None:
        """Edits the subset that reviews go to (empty for all versions), and waits until that is live."""
        head, reviews = self._original.rsplit("---\n", 1)
        wanted = f"subset: {subset}" if subset else ""
        self.write(f"{head}---\n{reviews.replace('subset: v1', wanted)}")

    def write(self, text: str) -> None:
        """Writes another text that is valid, and waits until it is live."""
        before = self.row()["generation"]
        if self.file.read_text() == text:
            return
        self.file.write_text(text)
        until(lambda: self.row()["generation"] != before and not self.row()["violations"], 10, "the edit to be read")
        self._mesh.do("wait", "vs/reviews")

    def misspell(self, right: str, wrong: str) -> int:
        """Writes a mistake into the part about reviews, waits until it is refused; gives its line."""
        position = self._original.rindex(right)
        text = self._original[:position] + wrong + self._original[position + len(right) :]
        self.file.write_text(text)
        found = {"file": str(self.file)}
        until(lambda: any(found.items() <= each.items() for each in self.violations()), 10, "the mistake to be seen")
        return text[:position].count("\n") + 1

    def restore(self) -> None:
        """Writes what was there at first."""
        if self.file.read_text() != self._original:
            self.file.write_text(self._original)
            until(lambda: not self.violations(), 10, "the file to be right again")
            until(lambda: "v1" in self.row()["yaml"], 10, "the first rules to be back")
            self._mesh.do("wait", "vs/reviews")

    def violations(self) -> list[dict[str, Any]]:
        """All that is wrong with the files of the mesh."""
        found: list[dict[str, Any]] = self._mesh.api.get("v1", "violations")["violations"]
        return found

    def row(self) -> dict[str, Any]:
        """The VirtualService reviews as the mesh has it."""
        query: dict[str, Any] = {"kind": "vs", "name": "reviews", "namespace": "default"}
        row: dict[str, Any] = self._mesh.api.get("v1", "objects", **query)["objects"][0]
        return row


def reviewers(caller: Caller, url: str, count: int = 20) -> Counter[str]:
    """Which versions wrote the reviews of so many pages."""
    answers = caller.requests(f"{url}/api/v1/products/0/reviews", count)
    assert {answer.status for answer in answers} == {200}, answers
    return Counter("-".join(answer.json["podname"].split("-")[:2]) for answer in answers)


def test_the_page_is_there_through_the_gateway(bookinfo: Mesh, browser: Caller) -> None:
    page = browser.get(f"{bookinfo.url()}/productpage")
    assert (page.status, "The Comedy of Errors" in page.body) == (200, True)


def test_an_edited_file_moves_the_traffic(bookinfo: Mesh, browser: Caller, rules: Rules) -> None:
    assert reviewers(browser, bookinfo.url()) == {"reviews-v1": 20}
    began = time.monotonic()
    rules.send_reviews_to("v3")
    print(f"from the write to `lateen wait` ending: {time.monotonic() - began:.2f} s")
    assert reviewers(browser, bookinfo.url()) == {"reviews-v3": 20}


def test_a_file_saved_by_replacing_it_moves_the_traffic_too(bookinfo: Mesh, browser: Caller, rules: Rules) -> None:
    before = rules.row()["generation"]
    written = rules.file.with_suffix(".swp")
    head, reviews = rules.file.read_text().rsplit("---\n", 1)
    written.write_text(f"{head}---\n{reviews.replace('subset: v1', 'subset: v2')}")
    written.rename(rules.file)
    until(lambda: rules.row()["generation"] != before, 10, "the edit to be read")
    bookinfo.do("wait", "vs/reviews")
    assert reviewers(browser, bookinfo.url()) == {"reviews-v2": 20}


@pytest.mark.parametrize(
    "right, wrong, path",
    [
        ("subset: v1", "subsett: v1", "spec.http[0].route[0].destination.subsett"),
        ("- destination:\n        host: reviews", "- weight: many\n      destination:\n        host: reviews",
         "spec.http[0].route[0].weight"),
    ],
    ids=["unknown field", "wrong type"],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_harms_nothing(
    bookinfo: Mesh, browser: Caller, rules: Rules, right: str, wrong: str, path: str
) -> None:
    with browser.load(f"{bookinfo.url()}/api/v1/products/0/reviews") as load:
        line = rules.misspell(right, wrong)
        said = bookinfo.run("get", "vs", "reviews")
        waited = bookinfo.run("wait", "vs/reviews", "--timeout", "2s")
        load.more()
    assert "rejected" in said.out
    assert f"{rules.file.name}:{line}: {path}: " in said.err
    assert waited.code == 1
    assert f"{rules.file.name}:{line}" in waited.said
    assert load.result.failures == []
    assert reviewers(browser, bookinfo.url()) == {"reviews-v1": 20}


def test_broken_yaml_harms_nothing(bookinfo: Mesh, browser: Caller, rules: Rules) -> None:
    rules.misspell("    - destination:", "   - [destination:")
    assert bookinfo.do("get", "vs", "-o", "name").split() == [
        f"virtualservice/{name}" for name in ("bookinfo", "details", "productpage", "ratings", "reviews")
    ]
    assert reviewers(browser, bookinfo.url()) == {"reviews-v1": 20}


def test_broken_yaml_is_told_with_its_line(bookinfo: Mesh, rules: Rules) -> None:
    line = rules.misspell("    - destination:", "   - [destination:")
    said = bookinfo.run("get", "vs", "reviews")
    waited = bookinfo.run("wait", "vs/reviews", "--timeout", "2s")
    assert f"{rules.file.name}:" in said.err, said
    told = int(said.err.split(f"{rules.file.name}:")[1].split(":")[0])
    assert line <= told <= line + 3, said.err
    assert waited.code == 1, waited


def test_a_mistake_in_a_followed_file_is_told_where_the_mesh_logs(bookinfo: Mesh, rules: Rules) -> None:
    line = rules.misspell("subset: v1", "subsett: v1")
    log = bookinfo.directory / "supervisor.log"
    until(lambda: f"{rules.file}:{line}: " in log.read_text(), 5, "the supervisor's log to name the mistake")


@pytest.mark.parametrize(
    "host", ["reviews", "reviews.default", "reviews.default.svc", "reviews.default.svc.cluster.local"]
)
def test_exec_runs_curl_where_the_workload_is(bookinfo: Mesh, host: str) -> None:
    said = bookinfo.do("exec", "deploy/sleep", "--", "curl", "-sS", "--max-time", "5", f"http://{host}:9080/reviews/0")
    assert '"podname":"reviews-v1-' in said


def test_a_killed_process_is_out_of_all_proxies_and_comes_back(bookinfo: Mesh, inside: Caller, rules: Rules) -> None:
    rules.send_reviews_to("")
    (killed,) = bookinfo.ready("reviews-v2")
    with inside.load("http://reviews:9080/reviews/0"):
        os.kill(bookinfo.app_pid(killed), signal.SIGKILL)
        until(
            lambda: killed["address"] not in endpoints(bookinfo, "deploy/sleep", REVIEWS), 10, "the endpoint to be out"
        )
    with inside.load("http://reviews:9080/reviews/0", by_version=True) as load:
        (back,) = until(lambda: [row for row in bookinfo.ready("reviews-v2") if row["restarts"] == 1])
        until(lambda: killed["address"] in endpoints(bookinfo, "deploy/sleep", REVIEWS), 10, "the endpoint to be back")
        load.more(100)
    assert load.result.failures == []
    assert (back["name"], back["address"]) == (killed["name"], killed["address"])
    assert set(load.result.counts) == {"v1", "v2", "v3"}
    row = next(line.split() for line in bookinfo.do("ps").splitlines() if line.startswith(killed["name"]))
    assert row[5:8] == ["1/1", "Running", "1"]


def test_a_killed_control_plane_comes_back_unnoticed(bookinfo: Mesh, browser: Caller, rules: Rules) -> None:
    text = rules.file.read_text().rsplit("---\n", 1)[1].replace("subset: v1", "subset: v3")
    bookinfo.run("apply", "-f", "-", stdin=text)
    bookinfo.do("wait", "vs/reviews")
    before = identities(bookinfo)
    pid = bookinfo.control_plane()
    try:
        with browser.load(f"{bookinfo.url()}/productpage") as load:
            os.kill(pid, signal.SIGKILL)
            load.more()
            until(lambda: bookinfo.control_plane() not in (pid, 0), 20, "another control plane")
            bookinfo.settled()
            load.more()
        assert load.result.failures == []
        assert identities(bookinfo) == before
        assert "subset: v3" in bookinfo.do("get", "vs", "reviews", "-o", "yaml")
        assert reviewers(browser, bookinfo.url()) == {"reviews-v3": 20}
    finally:
        bookinfo.apply(text.replace("subset: v3", "subset: v1"))
    assert reviewers(browser, bookinfo.url()) == {"reviews-v1": 20}


def endpoints(mesh: Mesh, workload: str, cluster: str) -> set[str]:
    """The addresses to which a workload's proxy sends the traffic of a cluster."""
    page = mesh.api.get("v1", "envoy", "clusters", reference=workload)
    found = next(each for each in page["cluster_statuses"] if each["name"] == cluster)
    hosts = (host["address"]["socket_address"]["address"] for host in found.get("host_statuses", ()))
    return set(hosts)


def identities(mesh: Mesh) -> dict[str, tuple[object, ...]]:
    """What must outlive a control plane: the addresses, processes and restarts of all workloads."""
    return {
        row["name"]: (row["address"], row["restarts"], *(each["pid"] for each in row["containers"]))
        for row in mesh.workloads()
    }
