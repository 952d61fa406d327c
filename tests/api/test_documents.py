"""Text that is not plain YAML, on purpose or not."""

import pytest

from lateen.api.documents import Document, read_documents


def read(text: str) -> list[object]:
    return [part.content if isinstance(part, Document) else str(part) for part in read_documents(text, "x.yaml")]


def deep(line_break: str, levels: int = 3000) -> str:
    """Mappings in mappings by indentation."""
    return line_break.join(f"{' ' * level}a:" for level in range(levels))


ALIASES = "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(1, 12))
MERGES = "".join(f"x{i}: &x{i} {{<<: [{', '.join([f'*x{i - 1}'] * 9)}]}}\n" for i in range(1, 12))
TOO_MANY = "must have at most 200000 fields, with aliases and merges written out"

TEXTS = [
    ("", []),
    ("# nothing\n---\n# more\n", []),
    ("a: 1\n---\nb: 2\n", [{"a": 1}, {"b": 2}]),
    ("%YAML 1.1\n---\na: 1\n", [{"a": 1}]),
    ("--- {a: 1}\n...\n", [{"a": 1}]),
    ("a: |\n  ---\n  b\n", [{"a": "---\nb\n"}]),
    ('{\n\t"a": [1.5, true, null, "x"]\n}', [{"a": [1.5, True, None, "x"]}]),
    (
        "{on: off, 80: 0644, t: 2024-01-01, s: 12:30, h: 0x1f}",
        [{"80": 420, "h": 31, "on": False, "s": "12:30", "t": "2024-01-01"}],
    ),
    ("a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", [{"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}]),
    ("a: 1\nb: 2\na: 3\n", ["x.yaml:3: must have each key once: a is already given in line 1"]),
    ("a: 1\nb: [\n", ["x.yaml:3:1: not valid YAML: did not find expected node content"]),
    ("a: *b\n", ["x.yaml:1:4: not valid YAML: alias *b has no anchor &b before it"]),
    ("a: !thing 1\n", ["x.yaml:1: must be plain data, without the tag !thing"]),
    ("? [a]\n: b\n", ["x.yaml:1: must have plain names as keys, not lists or mappings"]),
    ("a: .nan\n", ["x.yaml:1: must be a number of usual size, not .nan"]),
    ("a: \0", ["x.yaml:1: not valid YAML: unacceptable character #x0000: control characters are not allowed"]),
    ("a: \ud800", ["x.yaml:1: must be Unicode text"]),
    ("[" * 100_000, ["x.yaml:1: must be nested at most 100 deep"]),
    (deep("\n"), ["x.yaml:101: must be nested at most 100 deep"]),
    (deep("\n", levels=110), ["x.yaml:101: must be nested at most 100 deep"]),
    (deep("\r"), ["x.yaml:101: must be nested at most 100 deep"]),
    (deep("\u2028"), ["x.yaml:101: must be nested at most 100 deep"]),
    ("- " * 50_000, ["x.yaml:1: must be nested at most 100 deep"]),
    ("? " * 50_000, ["x.yaml:1: must be nested at most 100 deep"]),
    ("a: &b 1\nc: &b 2\nd: *b\n", [{"a": 1, "c": 2, "d": 2}]),
    ("&a [*a]", ["x.yaml:1: must be nested at most 100 deep"]),
    ("&a\nb: 1\n<<: *a", ["x.yaml:1: must be nested at most 100 deep"]),
    ("x0: &x0 [1]\n" + ALIASES, [f"x.yaml:2: {TOO_MANY}"]),
    ("x0: &x0 {a: 1}\n" + MERGES, [f"x.yaml:1: {TOO_MANY}"]),
    ("a" * 17_000_000, ["x.yaml:1: must be at most 16 MiB of text"]),
]


@pytest.mark.parametrize(("text", "expected"), TEXTS, ids=lambda value: str(value)[:30])
def test_text_becomes_values_or_complaints(text: str, expected: list[object]) -> None:
    assert read(text) == expected
