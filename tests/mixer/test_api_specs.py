"""What requests are called in public, and where their API keys are."""

import pytest

from lateen.api.mixer.services import ApiKeyPlace, ApiPattern, HttpApiSpec
from lateen.mixer import api_specs, patterns

SPEC = HttpApiSpec(
    attributes={"api.service": "pets", "api.version": "v1"},
    patterns=(
        ApiPattern(http_method="GET", uri_template="/pets/{id}", attributes={"api.operation": "getPet"}),
        ApiPattern(http_method="POST", uri_template="/pets", attributes={"api.operation": "addPet"}),
        ApiPattern(regex="/old/.*", attributes={"api.operation": "old", "api.version": "v0"}),
    ),
)


@pytest.mark.parametrize(
    ("method", "path", "operation", "version"),
    [
        ("GET", "/pets/7", "getPet", "v1"),
        ("GET", "/pets/7/toys", None, "v1"),
        ("POST", "/pets", "addPet", "v1"),
        ("DELETE", "/old/a/b", "old", "v0"),
    ],
)
def test_the_first_pattern_that_fits_names_the_operation(
    method: str, path: str, operation: str | None, version: str
) -> None:
    found = api_specs.attributes([SPEC], method, path)
    assert (found.get("api.operation"), found["api.version"], found["api.service"]) == (operation, version, "pets")


@pytest.mark.parametrize(
    ("template", "fits", "misses"),
    [
        ("/a/{b}", "/a/x", "/a/x/y"),
        ("/a/{+b}", "/a/x/y", "/a/"),
        ("/a{/b}", "/a/x", "/ax"),
        ("/a{/b*}", "/a/x/y", "/a"),
        ("/a{.b}", "/a.json", "/ajson"),
        ("/a/{b,c}", "/a/x,y", "/a/"),
        ("/a{?b}", "/a", "/ab"),
        ("/a.b", "/a.b", "/axb"),
    ],
)
def test_templates_fit_whole_paths(template: str, fits: str, misses: str) -> None:
    regex = patterns.regex(api_specs.template_regex(template))
    assert regex.fullmatch(fits)
    assert not regex.fullmatch(misses)


@pytest.mark.parametrize(
    ("query", "headers", "key"),
    [
        ({"key": "1", "api_key": "2"}, {"x-api-key": "3"}, "1"),
        ({"api_key": "2"}, {"x-api-key": "3"}, "2"),
        ({}, {"x-api-key": "3"}, "3"),
        ({"key": ""}, {}, ""),
    ],
)
def test_keys_are_looked_for_in_order(query: dict[str, str], headers: dict[str, str], key: str) -> None:
    assert api_specs.api_key(api_specs.key_places([SPEC]), query, headers, {}) == key


def test_a_spec_says_where_its_keys_are() -> None:
    places = api_specs.key_places([HttpApiSpec(api_keys=(ApiKeyPlace(header="X-Key"), ApiKeyPlace(cookie="k")))])
    assert api_specs.api_key(places, {"key": "1"}, {"x-key": "2"}, {"k": "3"}) == "2"
    assert api_specs.api_key(places, {"key": "1"}, {}, {"k": "3"}) == "3"
