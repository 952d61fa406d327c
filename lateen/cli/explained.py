"""Writes an explanation for people: one line a step, below it where that is written."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from lateen.cli import output
from lateen.cli.apply import shown_path

Told = Mapping[str, Any]
_WIDTH: Final = 14
_SHOWN: Final = 8
"""As many of the conditions that did not match are shown; JSON has all."""


def show(told: Told) -> None:
    """Print an explanation."""
    who = f"{told['caller']} through {told['proxy']}" if told["caller"] == "outside" else told["caller"]
    click.echo(_bold(f"{told['request']} from {who}"))
    click.echo(_bold(f"→ {told['says']}"))
    for name, title in (("dns", "DNS"), ("listener", "listener"), ("chain", "filter chain")):
        if told[name]:
            _step(title, told[name]["says"], told[name].get("place"))
            _patched(told[name].get("patched", ()))
    if told["virtual_host"]:
        _step("virtual host", told["virtual_host"]["says"])
        _patched(told["virtual_host"]["patched"])
    if told["admission"]:
        _step("gateway", told["admission"]["says"], told["admission"]["rule"])
        _decided(told["admission"])
    if told["route"]:
        _route(told["route"])
    _passed(told["rules"])
    for leg in told["split"]:
        _leg("to", leg)
    for leg in told["mirrors"]:
        _leg("mirrored to", leg)
    for note in told["notes"]:
        _step("note", note)


def place_text(place: Told) -> str:
    """Write a place as `VirtualService default/reviews spec.http[0] at file:line`."""
    file, colon, line = place["at"].rpartition(":")
    at = f" at {shown_path(file)}{colon}{line}" if file else ""
    return f"{place['object']} {place['path']}".rstrip() + at


def _route(route: Told) -> None:
    matched = f", matched by {route['matched']}" if route["matched"] else ""
    name = f" ({route['name']})" if route["name"] else ""
    _step("route", f"{route['says']}{name}{matched}", route["place"])
    _passed_over(route["passed_over"])
    _settings(route["settings"])


def _passed_over(found: list[Told]) -> None:
    for one in found[:_SHOWN]:
        _below("not", f"{one['asked']}: {one['failed']}", one["place"])
    if len(found) > _SHOWN:
        _below("", f"… and {len(found) - _SHOWN} more, which -o json lists")


def _settings(found: Iterable[Told]) -> None:
    for setting in found:
        if setting["says"] not in ("none", "least request"):
            _below(setting["name"], setting["says"], setting["place"])


def _leg(title: str, leg: Told) -> None:
    share = f" {leg['percent']:.4g}%" if leg["percent"] != 100 else ""
    result = f": {leg['result']}" if leg["result"] else ""
    _step(f"{title}{share}", leg["says"] + result, leg["written"])
    if leg["place"] or leg["patched"]:
        _below("cluster", leg["cluster"], leg["place"])
    _patched(leg["patched"])
    _settings(leg["settings"])
    for endpoint in leg["endpoints"]:
        known = (endpoint["workload"], endpoint["health"], endpoint["locality"])
        _below("endpoint", " ".join(filter(None, (endpoint["address"], *known))))
    if leg["tls"]:
        _below("TLS", leg["tls"]["says"], leg["tls"]["place"])
    for server in leg["servers"]:
        _server(server)


def _server(server: Told) -> None:
    _below("server", f"{', '.join(server['workloads'])} port {server['port']}: {server['says']}", server["rule"])
    if server["mode"]:
        _below("takes", server["mode"], server["mode_place"])
    _patched(server["patched"])
    _decided(server)


def _decided(server: Told) -> None:
    """Print what a proxy decides in the order in which it does: logins, rules, then everything else."""
    _passed(one for one in server["passed"] if one["filter"] == "login")
    _asked(server)
    _passed(one for one in server["passed"] if one["filter"] != "login")


def _passed(found: Iterable[Told]) -> None:
    """Print what filters do; those that have nothing to do with the request are in JSON only."""
    for one in found:
        if one["result"] != "not concerned":
            status = f"{one['status']}: " if one["result"] == "answers" and one["status"] else ""
            _below(one["filter"], f"{status}{one['says']}", one["place"])


def _patched(found: Iterable[Told]) -> None:
    for one in found:
        _below("PATCHED", one["says"], one["place"])


def _asked(server: Told) -> None:
    for one in server["asked"]:
        _below(one["action"], f"no: {one['failed']}" if one["failed"] else "matches", one["place"])
    for place in server["policies"]:
        if all(one["place"]["object"] != place["object"] for one in server["asked"]):
            _below("ALLOW", "has no rule that could match", place)


def _step(title: str, says: str, place: Told | None = None) -> None:
    click.echo(f"  {_bold(title.ljust(_WIDTH))}{says}")
    if place:
        click.echo(f"  {' ' * _WIDTH}{_dim(place_text(place))}")


def _below(title: str, says: str, place: Told | None = None) -> None:
    click.echo(f"  {'':{_WIDTH}}{title:{_WIDTH}}{says}")
    if place:
        click.echo(f"  {'':{2 * _WIDTH}}{_dim(place_text(place))}")


def _bold(text: str) -> str:
    return click.style(text, bold=True) if output.has_colour() else text


def _dim(text: str) -> str:
    return click.style(text, dim=True) if output.has_colour() else text
