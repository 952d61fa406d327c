"""The examples' YAML: it parses, it fits together, and it names what its users know."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from lateen.api.decode import decode_yaml
from lateen.cli.authz import command

from .conftest import EXAMPLES

ROUTING = EXAMPLES / "bookinfo" / "routing"
SECURITY = EXAMPLES / "bookinfo" / "security"
LIMITS = EXAMPLES / "bookinfo" / "limits"


def documents(*paths: Path) -> list[dict[str, Any]]:
    return [document for path in paths for document in yaml.safe_load_all(path.read_text()) if document]


def top_level(example: str) -> list[Path]:
    return sorted((EXAMPLES / example).glob("*.yaml"))


def named(objects: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def destinations(virtual_service: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for route in virtual_service["spec"]["http"]:
        for destination in route["route"]:
            yield destination["destination"]


def test_bookinfo_has_the_objects_of_the_public_sample() -> None:
    objects = documents(*top_level("bookinfo"))
    services = ["details", "istio-ingressgateway", "productpage", "ratings", "reviews"]
    assert sorted(named(objects, "Service")) == services
    assert sorted(named(objects, "Deployment")) == [
        "details-v1",
        "istio-ingressgateway",
        "productpage-v1",
        "ratings-v1",
        "reviews-v1",
        "reviews-v2",
        "reviews-v3",
    ]
    accounts = [f"bookinfo-{name}" for name in ("details", "productpage", "ratings", "reviews")]
    assert sorted(named(objects, "ServiceAccount")) == [*accounts, "istio-ingressgateway"]
    assert list(named(objects, "Gateway")) == ["bookinfo-gateway"]
    assert list(named(objects, "VirtualService")) == ["bookinfo"]


def test_nothing_routes_reviews_until_a_rule_is_applied() -> None:
    assert [path.name for path in top_level("bookinfo")] == [
        "bookinfo.yaml",
        "gateway.yaml",
        "ingressgateway.yaml",
    ]


@pytest.mark.parametrize("example", ["bookinfo", "httpbin", "sleep"])
def test_deployments_fit_their_services_accounts_and_scripts(example: str) -> None:
    objects = documents(*top_level(example))
    pods = [deployment["spec"]["template"] for deployment in named(objects, "Deployment").values()]
    for deployment in named(objects, "Deployment").values():
        wanted = deployment["spec"]["selector"]["matchLabels"].items()
        assert deployment["spec"]["template"]["metadata"]["labels"].items() >= wanted
    for service in named(objects, "Service").values():
        selector = service["spec"]["selector"].items()
        assert any(pod["metadata"]["labels"].items() >= selector for pod in pods)
    for pod in pods:
        assert pod["spec"]["serviceAccountName"] in named(objects, "ServiceAccount")
        for container in pod["spec"]["containers"]:
            scripts = [word for word in container.get("command", ()) if word.endswith(".py")]
            assert all((EXAMPLES / example / script).is_file() for script in scripts)


def test_the_version_of_a_process_is_the_label_of_its_pod() -> None:
    for deployment in named(documents(*top_level("bookinfo"), *top_level("httpbin")), "Deployment").values():
        pod = deployment["spec"]["template"]
        for container in pod["spec"]["containers"]:
            version = [item["value"] for item in container.get("env", ()) if item["name"] == "SERVICE_VERSION"]
            assert version in ([], [pod["metadata"]["labels"].get("version")])


def test_every_route_goes_to_a_subset_that_exists() -> None:
    rules = named(documents(ROUTING / "destination-rule-all.yaml"), "DestinationRule")
    subsets = {(rule["spec"]["host"], subset["name"]) for rule in rules.values() for subset in rule["spec"]["subsets"]}
    labels = {
        (pod["labels"]["app"], pod["labels"].get("version"))
        for pod in (
            deployment["spec"]["template"]["metadata"]
            for deployment in named(documents(*top_level("bookinfo")), "Deployment").values()
        )
    }
    assert subsets <= labels
    for path in ROUTING.glob("virtual-service-*.yaml"):
        for item in documents(path):
            used = {(destination["host"], destination["subset"]) for destination in destinations(item)}
            assert used <= subsets, path.name


def test_policies_are_for_services_that_exist_and_name_accounts_that_exist() -> None:
    objects = documents(*top_level("bookinfo"))
    accounts = {
        f"cluster.local/ns/{item['metadata'].get('namespace', 'default')}/sa/{name}"
        for name, item in named(objects, "ServiceAccount").items()
    }
    found = named(documents(*sorted(SECURITY.glob("*.yaml"))), "AuthorizationPolicy")
    assert found.pop("allow-nothing")["spec"] == {}
    assert sorted(found) == ["details-viewer", "productpage-viewer", "ratings-viewer", "reviews-viewer"]
    for name, item in found.items():
        app = item["spec"]["selector"]["matchLabels"]["app"]
        assert f"{app}-viewer" == name and app in named(objects, "Service")
        for rule in item["spec"]["rules"]:
            assert all(set(each["source"]["principals"]) <= accounts for each in rule["from"])


def test_policies_decode_and_let_the_page_come_and_nobody_else() -> None:
    folders = (EXAMPLES / "bookinfo", EXAMPLES / "sleep", SECURITY)

    def outcome(caller: str, callee: str) -> str:
        files = [word for folder in folders for word in ("-f", str(folder))]
        ended = CliRunner().invoke(command, ["check", *files, caller, callee, "-o", "json"])
        return str(json.loads(ended.output)["outcome"])

    allowed = {("istio-system/istio-ingressgateway", "productpage"), ("deploy/reviews-v3", "ratings")}
    allowed |= {("deploy/productpage-v1", service) for service in ("details", "reviews")}
    for caller in ("istio-system/istio-ingressgateway", "deploy/productpage-v1", "deploy/reviews-v3", "deploy/sleep"):
        for service in ("productpage", "details", "reviews", "ratings"):
            assert outcome(caller, service) == ("allow" if (caller, service) in allowed else "deny")
    assert outcome("outside", "ratings") == "refused"


def test_limits_decode_and_are_for_services_and_accounts_that_exist() -> None:
    objects = documents(*top_level("bookinfo"))
    accounts = {f"cluster.local/ns/default/sa/{name}" for name in named(objects, "ServiceAccount")}
    files = sorted(LIMITS.glob("*.yaml"))
    assert [violation for path in files for violation in decode_yaml(path.read_text(), path.name).violations] == []
    for item in documents(*files):
        assert item["spec"]["selector"]["matchLabels"]["app"] in named(objects, "Service")
        overrides = [each for limit in item["spec"]["limits"] for each in limit.get("overrides", ())]
        assert {each["values"]["source.principal"] for each in overrides} <= accounts


def test_weights_of_a_route_sum_to_a_hundred() -> None:
    for path in ROUTING.glob("virtual-service-*.yaml"):
        for item in documents(path):
            for route in item["spec"]["http"]:
                weights = [destination.get("weight", 100) for destination in route["route"]]
                assert sum(weights) == 100, path.name
