"""`lateen describe`: all that concerns one service or one workload."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

import click

from lateen.cli import client, options, output
from lateen.cli.explained import place_text

Told = Mapping[str, Any]
SERVICE: Final = "service"
WORKLOAD: Final = "workload"


@click.command("describe")
@click.argument("what", type=click.Choice([SERVICE, WORKLOAD]))
@click.argument("name")
@options.files_option()
@options.mesh_option
@options.namespace_option()
@options.output_option("json")
def command(
    *, what: str, name: str, filenames: tuple[str, ...], mesh: str | None, namespace: str | None, form: str | None
) -> None:
    """Tell all that concerns a service or a workload: ports, subsets, routes, policies, and what is doubtful.

    With -f the files are asked, without a mesh.
    """
    told = _of_files(filenames, what, name, namespace) if filenames else _of_mesh(mesh, what, name, namespace)
    if form == "json":
        output.print_json(told)
    elif what == SERVICE:
        _show_service(told)
    else:
        _show_workload(told)


def _of_mesh(mesh: str | None, what: str, name: str, namespace: str | None) -> Told:
    told: Told = client.connect(mesh).get("v1", "describe", what, name=name, namespace=namespace)
    return told


def _of_files(filenames: Iterable[str], what: str, name: str, namespace: str | None) -> Told:
    from lateen.cli import world
    from lateen.plan.explain import descriptions

    home = namespace or options.DEFAULT_NAMESPACE
    plans = world.plans_of(filenames, home)
    tell = descriptions.service if what == SERVICE else descriptions.workload
    return asdict(tell(plans, name, home))


def _show_service(told: Told) -> None:
    click.echo(f"Service {told['name']} ({told['host']})")
    _line("written", place_text(told["place"]))
    _line("addresses", ", ".join(told["addresses"]) or "none")
    for port in told["ports"]:
        name = f" {port['name']}" if port["name"] else ""
        _line("port", f"{port['number']}{name} {port['protocol']} → {port['target']}, {port['endpoints']} endpoints")
    _line("workloads", ", ".join(told["workloads"]) or "none")
    _line("takes", ", ".join(told["modes"]) or "nothing: there is no workload")
    _places("DestinationRule", told["destination_rules"])
    for subset in told["subsets"]:
        labels = ",".join(f"{name}={value}" for name, value in subset["labels"].items())
        _line(f"subset {subset['name']}", f"{labels}: {', '.join(subset['workloads']) or 'NOBODY'}")
    for route in told["routes"]:
        _line(f"route {route['port']}", f"{route['asked']} → {' · '.join(route['goes_to'])}")
        if route["place"]:
            _line("", place_text(route["place"]))
    _places("Gateway", told["gateways"])
    _places("policy", told["policies"])
    _findings(told["findings"])


def _show_workload(told: Told) -> None:
    state = "ready" if told["ready"] else "not ready"
    click.echo(f"Workload {told['name']} ({told['role'] or 'no proxy'}, {state})")
    _line("owner", told["owner"])
    _line("address", " ".join(filter(None, (told["address"], told["locality"]))) or "unknown")
    _line("identity", told["identity"] or "none")
    _line("labels", ",".join(f"{name}={value}" for name, value in told["labels"].items()))
    if told["group"]:
        _places("group", [told["group"]])
        _line("", told["registration"])
    for port in told["ports"]:
        called = f"{port['service']}:{port['service_port']}" if port["service"] else f"port {port['service_port']}"
        parts = (str(port["number"]), port["protocol"], f"called as {called}", port["mode"])
        _line("port", " ".join(filter(None, parts)))
    if told["mode"]:
        source = f" by {place_text(told['mode_place'])}" if told["mode_place"] else " by default"
        _line("takes", told["mode"] + source)
    _places("Service", told["services"])
    _places("Gateway", told["gateways"])
    _places("Sidecar", [told["sidecar"]] if told["sidecar"] else [])
    _places("policy", told["policies"])
    _findings(told["findings"])


def _line(title: str, text: str) -> None:
    click.echo(f"  {title:18}{text}")


def _places(title: str, places: Iterable[Told]) -> None:
    for place in places:
        _line(title, place_text(place))


def _findings(found: Iterable[str]) -> None:
    for one in found:
        _line("doubtful", one)
