"""The page of limits says what the code says: which settings act, and why others do not."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lateen.api.mesh import doubts
from lateen.api.mesh.doubts import Fixed
from lateen.api.mesh.mesh_config import MeshConfig, ProxyDefaults
from lateen.api.structs import NoEffect, Struct, alias
from lateen.platforms.local.annotations import WITHOUT_EFFECT

PAGE = (Path(__file__).parent.parent / "docs" / "limits.md").read_text(encoding="utf-8")
NAME = re.compile(r"`([^`]+)`")


def tables(heading: str) -> list[dict[str, str]]:
    """The tables of a section: what stands in the second column by each name in the first."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    text = next(part for part in section if part.startswith(heading))
    return [dict(_rows(table)) for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)]


def _rows(table: str) -> Iterator[tuple[str, str]]:
    for line in table.splitlines()[2:]:
        names, said = line.strip("|").split("|", 1)
        yield from ((name, said.strip()) for name in NAME.findall(names))


@pytest.mark.parametrize(
    ("spec", "place", "fixed"), [(MeshConfig, 0, doubts.OF_MESH), (ProxyDefaults, 1, doubts.OF_PROXIES)]
)
def test_every_setting_of_the_mesh_is_listed_with_what_becomes_of_it(
    spec: type[Struct], place: int, fixed: tuple[Fixed, ...]
) -> None:
    listed = tables("MeshConfig")[place]
    assert listed.keys() == set(map(alias, spec.model_fields))
    for name, field in spec.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, NoEffect) and mark.reason:
                assert listed[alias(name)] == f"no effect, with a warning: {mark.reason}"
    for rule in fixed:
        assert listed[rule.name].startswith("always `")
        assert listed[rule.name].endswith(f"`, with a warning: {rule.reason}")


def test_every_annotation_without_effect_is_listed_with_the_reason() -> None:
    assert tables("Annotations of pods") == [dict(WITHOUT_EFFECT)]
