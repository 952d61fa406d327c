"""Where the metrics of a workload are, as the platform tells."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

SCRAPE: Final = "prometheus.io/scrape"
PORT: Final = "prometheus.io/port"
PATH: Final = "prometheus.io/path"
SCHEME: Final = "prometheus.io/scheme"
MERGE: Final = "prometheus.istio.io/merge-metrics"


@dataclass(frozen=True, slots=True)
class ScrapeTarget:
    """A workload whose metrics can be read.

    `admin_socket` is its proxy's, empty without a proxy; `application_url` is empty where the application says nothing.
    """

    namespace: str
    name: str
    app: str = ""
    version: str = ""
    role: str = ""
    admin_socket: str = ""
    application_url: str = ""
    is_ready: bool = True


def application_url(
    annotations: Mapping[str, str], *, address: str, declared_port: int | None = None, merges: bool = True
) -> str:
    """Say where an application's own metrics are, as its annotations tell; empty where they are not to be read.

    Without a port the first one that the application declares is meant, else 80.
    """
    if annotations.get(SCRAPE, "").lower() != "true" or not _merges(annotations, merges):
        return ""
    port = annotations.get(PORT, "") or str(declared_port or 80)
    path = annotations.get(PATH, "") or "/metrics"
    scheme = annotations.get(SCHEME, "") or "http"
    if not port.isdecimal() or scheme not in ("http", "https"):
        return ""
    return f"{scheme}://{address}:{port}/{path.removeprefix('/')}"


def _merges(annotations: Mapping[str, str], by_default: bool) -> bool:
    said = annotations.get(MERGE, "").lower()
    return by_default if said not in ("true", "false") else said == "true"
