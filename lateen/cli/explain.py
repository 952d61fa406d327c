"""`lateen explain`: what becomes of a request, and which line of which file decides it."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

import click

from lateen.cli import client, explained, options, output, why_failed
from lateen.cli.failures import BadInput

Told = Mapping[str, Any]
_PAIR: Final = "write NAME:VALUE, such as end-user:jason"


@click.command("explain")
@click.option("--from", "caller", metavar="CALLER", shell_complete=options.complete_workload, help="Who calls.")
@click.option("--to", "url", metavar="URL", help="What is called, such as http://reviews:9080/reviews/0.")
@options.files_option()
@options.mesh_option
@options.namespace_option()
@click.option("--method", default="GET", show_default=True)
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME:VALUE", help="May be repeated.")
@click.option("--host", help="The Host header, where it is not the URL's.")
@click.option(
    "--sni", "server_name", metavar="NAME", help="The server name in the client's TLS, where it is not the host."
)
@click.option("--to-ip", "address", metavar="ADDRESS", help="Where the client connects to, if not what DNS answers.")
@click.option("--source-ip", metavar="ADDRESS", help="The address that CALLER calls from.")
@click.option("--jwt-claims", metavar="JSON", help="The claims of the request's token, which is signed well.")
@click.option("--why", "reason", metavar="STATUS", help="Tell why calls ended with a status (503) or a flag (UF).")
@click.option("--workload", shell_complete=options.complete_workload, help="With --why: whose proxy's log is read.")
@options.output_option("json")
def command(
    *,
    caller: str | None,
    url: str | None,
    filenames: tuple[str, ...],
    mesh: str | None,
    namespace: str | None,
    method: str,
    headers: tuple[str, ...],
    host: str | None,
    server_name: str | None,
    address: str | None,
    source_ip: str | None,
    jwt_claims: str | None,
    reason: str | None,
    workload: str | None,
    form: str | None,
) -> None:
    """Tell what becomes of a request, step by step: DNS, listener, route, split, endpoints, TLS, the server's decision.

    CALLER is a workload, `outside` for whoever comes through a gateway, or namespace/NAME for any workload of a
    namespace. URLs may also begin with https, grpc, tcp or tls. With -f the files are asked, without a mesh.

    With --why, the access logs of the running mesh are read: what happened to the calls that ended so.
    """
    if reason is not None:
        why_failed.tell(mesh, reason, workload, namespace, form)
        return
    if caller is None or url is None:
        raise BadInput("say --from CALLER and --to URL, or --why STATUS")
    question = {
        "caller": caller,
        "url": url,
        "namespace": namespace or options.DEFAULT_NAMESPACE,
        "method": method,
        "headers": _headers(headers),
        "host": host,
        "server_name": server_name,
        "address": address,
        "source_ip": source_ip,
        "claims": options.claims(jwt_claims),
    }
    told = _asked_files(filenames, question) if filenames else _asked_mesh(mesh, question)
    if form == "json":
        output.print_json(told)
    else:
        explained.show(told)


def _asked_mesh(mesh: str | None, question: Told) -> Told:
    told: Told = client.connect(mesh).post("v1", "explain", body=question)
    return told


def _asked_files(filenames: Iterable[str], question: Told) -> Told:
    from lateen.cli import world
    from lateen.plan.explain import explanation
    from lateen.plan.explain.questions import Question

    asked = Question(**{name: value for name, value in question.items() if value is not None})
    return asdict(explanation.explain(world.plans_of(filenames, asked.namespace), asked))


def _headers(written: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in written:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            raise BadInput(f"--header is '{each}'; {_PAIR}")
        known = found.get(name.strip().lower())
        found[name.strip().lower()] = value.strip() if known is None else f"{known},{value.strip()}"
    return found
