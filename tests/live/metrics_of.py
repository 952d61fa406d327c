"""Metrics as a proxy tells them, and what has become of them in the meantime."""

import http.client
import re
import socket
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from lateen.plan import compact_labels
from tests.live.mesh import Mesh

Labels = frozenset[tuple[str, str]]
Series = tuple[str, Labels]

_LINE = re.compile(r"^(?:envoy_)?(istio_\w+)\{(.*)\} (\S+)$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def directory(mesh: Mesh, workload: str) -> Path:
    """The directory of a workload's proxy."""
    (row,) = [row for row in mesh.workloads() if workload in (row["name"], row["owner"].rpartition("/")[2])][:1]
    return mesh.directory / "w" / f"{row['name']}.{row['namespace']}"


def told(mesh: Mesh, workload: str) -> Counter[Series]:
    """All that a workload's proxy tells of calls, but the buckets of histograms."""
    return series(read(directory(mesh, workload) / "admin.sock"))


def series(page: str) -> Counter[Series]:
    """The series on a page, but the buckets of histograms."""
    found: Counter[Series] = Counter()
    for name, labels, value in _LINE.findall(page):
        if not name.endswith("_bucket"):
            found[name, frozenset(_LABEL.findall(labels))] = float(value)  # type: ignore[assignment]
    return found


def news(before: Counter[Series], after: Counter[Series]) -> dict[Series, float]:
    """What has grown since then, and by how much."""
    return {series: value - before[series] for series, value in after.items() if value > before[series]}


def of(found: Mapping[Series, float], name: str) -> list[tuple[dict[str, str], float]]:
    """The series of one metric."""
    return [(dict(labels), value) for (metric, labels), value in found.items() if metric == name]


def read(admin: Path, page: str = "/stats/prometheus?filter=istio_") -> str:
    """A page of metrics from a proxy's admin interface, with all labels as the doors for metrics write them."""
    connection = http.client.HTTPConnection("envoy", timeout=10)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(admin))
    connection.request("GET", page)
    text = connection.getresponse().read().decode()
    connection.close()
    return compact_labels.expand(text)
