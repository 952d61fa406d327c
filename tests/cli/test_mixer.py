"""`lateen mixer` on files: where rules are carried out, with file and line."""

from pathlib import Path

import pytest

from .conftest import Machine

EXAMPLES = Path(__file__).parents[2] / "examples" / "bookinfo"
TASKS = ("deny-reviews-v3", "rate-limit-productpage", "double-request-count")
FILES = ("-f", str(EXAMPLES / "bookinfo.yaml"), *(f"-f{EXAMPLES / 'mixer' / task}.yaml" for task in TASKS))


def test_a_rule_is_explained_by_files(machine: Machine) -> None:
    told = machine.run_json("mixer", "explain", "denyreviewsv3", *FILES, "-o", "json")
    decided, elsewhere = told["actions"]
    assert decided["workloads"] == ["ratings-v1.default"]
    assert decided["where"] == "rules of the proxy (RBAC)"
    assert decided["place"].endswith("deny-reviews-v3.yaml:27")
    assert elsewhere["where"] == "never matches here"


def test_the_reason_for_asking_mixer_is_told(machine: Machine, tmp_path: Path) -> None:
    task = (EXAMPLES / "mixer" / "deny-reviews-v3.yaml").read_text()
    file = tmp_path / "rule.yaml"
    file.write_text(task.replace("match: ", 'match: request.query_params["debug"] == "1" && '))
    files = ("-f", str(EXAMPLES / "bookinfo.yaml"), "-f", str(file))
    ended = machine.run("mixer", "explain", "default/denyreviewsv3", *files)
    assert ended.exit_code == 0, ended.output
    assert "to ratings-v1.default\n    asked of Mixer: a proxy has no request.query_params" in ended.output


def test_all_rules_are_listed(machine: Machine) -> None:
    ended = machine.run("mixer", "list", *FILES)
    assert ended.exit_code == 0, ended.output
    assert "local rate limit of the proxy" in ended.output
    assert "metric of the proxy" in ended.output


@pytest.mark.parametrize(("name", "hint"), [("denyreviewsv", "did you mean denyreviewsv3"), ("quota", "istio-system")])
def test_a_rule_that_is_not_there(machine: Machine, name: str, hint: str) -> None:
    ended = machine.run("mixer", "explain", name, *FILES)
    assert ended.exit_code != 0
    assert hint in ended.output
