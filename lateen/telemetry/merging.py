"""One answer out of several: a proxy's metrics with its application's, and those of all workloads of a mesh."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lateen.telemetry import exposition
from lateen.telemetry.exposition import Family

_MESH_METRIC: Final = re.compile(r"^(# (?:TYPE|HELP) )?envoy_(?=istio_)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Merged:
    """What a workload says, and how much of its application's answer had to be left out, in lines."""

    families: tuple[Family, ...]
    left_out: int = 0


def proxy_text(text: str) -> str:
    """Give the mesh's metrics the names by which they are known: Envoy puts its own name before all of them."""
    return _MESH_METRIC.sub(lambda found: found[1] or "", text)


def merge(proxy: str, application: str | None) -> Merged:
    """Put an application's answer behind its proxy's. Where both have a metric, the proxy's counts."""
    own = exposition.split(proxy_text(proxy))
    if not application:
        return Merged(tuple(own.values()))
    told = exposition.read(application)
    added = [family for name, family in told.families.items() if name not in own]
    left_out = told.unreadable + sum(len(family.lines) for name, family in told.families.items() if name in own)
    usable = [_without_repetitions(family) for family in added]
    left_out += sum(len(family.lines) for family in added) - sum(len(family.lines) for family in usable)
    return Merged((*own.values(), *(family for family in usable if family.lines)), left_out)


def together(parts: Iterable[tuple[Mapping[str, str], Iterable[Family]]]) -> tuple[Family, ...]:
    """Put together what several say, each with the labels that tell them apart, a family once."""
    families: dict[str, Family] = {}
    for labels, own in parts:
        for family in own:
            known = families.get(family.name)
            if known is None:
                known = families[family.name] = Family(family.name, family.kind, family.help)
            known.lines.extend(exposition.labelled(line, labels) if labels else line for line in family.lines)
    return tuple(families.values())


def _without_repetitions(family: Family) -> Family:
    """Leave out lines that say a label twice, for which a Prometheus would refuse the whole answer."""
    lines = [line for line in family.lines if not _says_twice(line)]
    return family if len(lines) == len(family.lines) else Family(family.name, family.kind, family.help, lines)


def _says_twice(line: str) -> bool:
    names = [name for name, _ in exposition.labels_of(line)]
    return len(names) != len(set(names))
