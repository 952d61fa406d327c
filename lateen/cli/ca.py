"""`lateen ca`: the certificate authority, what it issued, and the change of its root without a failed request."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from lateen.api.decode import DEFAULT_NAMESPACE
from lateen.cli import client, options, output
from lateen.cli.client import ApiClient
from lateen.cli.failures import EXIT_CODES, Failed
from lateen.cli.wait import parse_duration, parse_timeout

_STEADY: Final = "steady"
_STEPS: Final = {
    "both-trusted": "both roots are trusted",
    "new-signs": "the new authority signs",
    "withdrawing": "the old authority signs again",
}
_NEWCOMERS: Final = "ca.sock"
_POLL_SECONDS: Final = 0.5
_NAMED: Final = 3
_WARN_SECONDS: Final = 30 * 86400


@click.group("ca", no_args_is_help=True, epilog=EXIT_CODES)
def command() -> None:
    """See the certificate authority and what it issued, and rotate its root."""


@command.command("show")
@options.mesh_option
@options.output_option("json")
def show(*, mesh: str | None, form: str | None) -> None:
    """Show who signs, which roots are trusted, and where a rotation stands."""
    told = client.connect(mesh).get("v1", "ca")
    if form == "json":
        output.print_json(told)
    else:
        _print(told)


@command.command("issued")
@options.mesh_option
@options.namespace_option("Only certificates of this namespace.")
@options.output_option("json")
def issued(*, mesh: str | None, namespace: str | None, form: str | None) -> None:
    """List the certificates that have not expired, the first to expire first."""
    found = client.connect(mesh).get("v1", "ca", "issued", namespace=namespace)["issued"]
    if form == "json":
        output.print_json(found)
        return
    output.print_table(
        ("WORKLOAD", "IDENTITY", "SERIAL", "NOT BEFORE", "NOT AFTER", "SIGNER"),
        [
            (
                each["workload"] or "-",
                each["identity"],
                each["serial"],
                _moment(each["not_before"]),
                _moment(each["not_after"]),
                each["signer"][:12],
            )
            for each in found
        ],
    )


@command.command("root-cert")
@options.mesh_option
@options.output_option("json")
def root_cert(*, mesh: str | None, form: str | None) -> None:
    """Print the root certificates that every proxy trusts, as PEM."""
    told = client.connect(mesh).get("v1", "ca", "roots")
    if form == "json":
        output.print_json(told)
    else:
        click.echo(told["pem"], nl=False)


@command.command("rotate")
@options.mesh_option
@click.option(
    "--ca-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Rotate to your own authority: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem in this directory.",
)
@click.option("--key", help="The kind of the new key: ecdsa-p256 (the default), ecdsa-p384, rsa-2048, rsa-4096.")
@click.option("--abort", is_flag=True, help="Go back to the old authority.")
@click.option("--timeout", default="10m", show_default=True, help="How long to wait for each step: 30s, 10m.")
@options.output_option("json")
def rotate(
    *, mesh: str | None, ca_dir: Path | None, key: str | None, abort: bool, timeout: str, form: str | None
) -> None:
    """Replace the root: trust the new one everywhere, have it sign, then forget the old one.

    Each step waits until every proxy has proved the one before, so that no request fails. When this command is
    interrupted the mesh stays in its step, where it is safe; run it again to go on, or with --abort to go back.
    """
    seconds = parse_timeout(timeout)
    if abort and (ca_dir or key):
        raise click.UsageError("--abort takes neither --ca-dir nor --key")
    api = client.connect(mesh)
    told = _entered(api, abort=abort, ca_dir=ca_dir, key=key)
    while told["stage"] != _STEADY:
        _say(f"{_STEPS[told['stage']]}; waiting for {told['proxies']} proxies")
        told = _await_proof(api, told["stage"], seconds)
    told = _await_proof(api, _STEADY, seconds)
    if form == "json":
        output.print_json(told)
    else:
        click.echo(f"{told['signer']['subject']} signs, and no other authority of ours is trusted")


@command.command("token")
@click.argument("workload")
@options.mesh_option
@options.namespace_option()
@click.option("--service-account", default="default", show_default=True, help="The account that the workload runs as.")
@click.option("--app", default="", help="What the workload belongs to, for telemetry.")
@click.option("--version", default="", help="Its version, for telemetry.")
@click.option("--ttl", default="15m", show_default=True, help="How long the token can be used: 30s, 15m, at most 24h.")
@options.output_option("json")
def token(
    *,
    workload: str,
    mesh: str | None,
    namespace: str | None,
    service_account: str,
    app: str,
    version: str,
    ttl: str,
    form: str | None,
) -> None:
    """Make a bootstrap token: who shows it at the certificate service becomes WORKLOAD, once.

    It is printed and not kept; what it was for is written down. Its holder gets the identity of the workload's service
    account, so hand it over as you would a password.
    """
    wanted = {
        "workload": workload,
        "namespace": namespace or DEFAULT_NAMESPACE,
        "service_account": service_account,
        "app": app,
        "version": version,
        "seconds": parse_duration(ttl, "--ttl"),
    }
    api = client.connect(mesh)
    told = api.post("v1", "ca", "token", body=wanted)
    if form == "json":
        output.print_json(told)
        return
    _say(f"for {told['identity']}, workload {told['workload']}, once, until {_moment(told['expires'])}")
    _say(f"to be shown at {api.mesh.directory / _NEWCOMERS} as authorization: Bearer TOKEN")
    click.echo(told["token"])


def _entered(api: ApiClient, *, abort: bool, ca_dir: Path | None, key: str | None) -> Any:
    """Begin a rotation, take up one that was interrupted, or turn one round."""
    told = api.get("v1", "ca")
    if abort:
        return api.post("v1", "ca", "abort", body={})
    if told["stage"] == _STEADY:
        directory = str(ca_dir.absolute()) if ca_dir else None
        return api.post("v1", "ca", "rotate", body={"directory": directory, "key": key})
    if ca_dir or key:
        raise Failed("a rotation is under way; run without --ca-dir and --key to go on with it, or with --abort")
    _say("taking up the rotation that is under way")
    return told


def _await_proof(api: ApiClient, stage: str, seconds: float) -> Any:
    """Wait until every proxy has the stage, and take the next step; return how the authority stands then."""
    deadline, said = time.monotonic() + seconds, ""
    while (told := api.get("v1", "ca"))["stage"] == stage and told["lacks"]:
        if (waiting := _waiting(told["lacks"])) != said:
            _say(waiting)
            said = waiting
        if time.monotonic() > deadline:
            lines = [f"{each['proxy']} {each['lack']}" for each in told["lacks"]]
            raise Failed(f"not every proxy has followed within {seconds:g} s; the mesh stays in its step", lines)
        time.sleep(_POLL_SECONDS)
    if told["stage"] != stage or stage == _STEADY:
        return told
    return _advanced(api, told)


def _advanced(api: ApiClient, told: Any) -> Any:
    """Take the next step; a proxy that has just come in its way is waited for by the caller's next round."""
    try:
        return api.post("v1", "ca", "advance", body={})
    except Failed:
        now = api.get("v1", "ca")
        if not now["lacks"] and now["stage"] == told["stage"]:
            raise
        return now


def _waiting(lacks: list[dict[str, str]]) -> str:
    """Say who lacks what, a line for each thing that is lacking."""
    by_lack: dict[str, list[str]] = {}
    for each in lacks:
        by_lack.setdefault(each["lack"], []).append(each["proxy"])
    return "\n".join(f"  {_some(proxies)}: {lack}" for lack, proxies in by_lack.items())


def _some(proxies: list[str]) -> str:
    more = f" and {len(proxies) - _NAMED} more" if len(proxies) > _NAMED else ""
    return ", ".join(proxies[:_NAMED]) + more


def _say(line: str) -> None:
    """Tell progress; it goes where it does not get into JSON."""
    click.echo(line, err=True)
    sys.stderr.flush()


def _print(told: dict[str, Any]) -> None:
    signer = told["signer"]
    click.echo(f"trust domain  {', '.join((told['trust_domain'], *told['trust_domain_aliases']))}")
    click.echo(f"signer        {signer['subject']}, {signer['key']}, until {_moment(signer['chain_not_after'])}")
    if not signer["is_self_signed"]:
        click.echo(f"root          {signer['root']}")
    click.echo(f"certificates  {told['issued']} valid, {output.short_age(told['lifetime_seconds'])} each")
    if renewal := told["renewal"]:
        click.echo(f"renewal       {_renewal(renewal, time.time())}")
    click.echo(f"rotation      {_stage(told)}")
    output.print_table(
        ("ROOT", "TRUST DOMAIN", "NOT AFTER", "SHA-256"),
        [
            (each["subject"], each["trust_domain"], _moment(each["not_after"]), each["fingerprint"])
            for each in told["roots"]
        ],
    )
    if signer["chain_not_after"] - time.time() < _WARN_SECONDS:
        click.echo("the authority expires soon: `lateen ca rotate` replaces it", err=True)


def _renewal(renewal: dict[str, Any], now: float) -> str:
    """Say whether certificates are renewed, and for how long nothing fails if they are not."""
    end = renewal["first_expiry"]
    margin = f"the first certificate expires in {output.short_age(end - now)}" if end is not None else ""
    if not renewal["failing"]:
        return f"in order; {margin} unless it is renewed" if margin else "in order"
    since = f" for {output.short_age(now - renewal['since'])}" if renewal["since"] is not None else ""
    failing = f"{renewal['failing']} certificates cannot be renewed{since}: {renewal['problem']}"
    return f"{failing}; {margin}, and nothing fails before" if margin else failing


def _stage(told: dict[str, Any]) -> str:
    lacking, proxies = len(told["lacks"]), told["proxies"]
    has = f"{proxies - lacking} of {proxies} proxies have followed"
    if told["stage"] == _STEADY:
        return "none under way" if not lacking else f"none under way; {has}"
    return f"{_STEPS[told['stage']]}; {has}; `lateen ca rotate` goes on, --abort goes back"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}Z"
