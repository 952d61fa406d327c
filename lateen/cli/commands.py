"""The table of commands: help, completion and dispatch derive from these rows, so that help imports no command."""

from typing import Final, NamedTuple


class Row(NamedTuple):
    """One command: its name, the module of `lateen.cli` that holds it as `command`, and its line in the help."""

    name: str
    module: str
    help: str
    section: str


RUN: Final = "Run a mesh"
CHANGE: Final = "Change what it does"
LOOK: Final = "See what its proxies do"
MEASURE: Final = "See how it fares"
TRUST: Final = "See and change whom it trusts"
OFFLINE: Final = "Without a mesh"

COMMANDS: Final = (
    Row("up", "up", "Start a mesh from YAML files and follow their changes.", RUN),
    Row("down", "down", "Drain a mesh, stop it, and remove what a killed one left.", RUN),
    Row("ps", "ps", "List workloads and the state of their proxies.", RUN),
    Row("logs", "logs", "Print what a workload or its proxy wrote.", RUN),
    Row("exec", "execute", "Run a command inside a workload's network.", RUN),
    Row("apply", "apply", "Create or change objects from files.", CHANGE),
    Row("get", "get", "List objects, or print one.", CHANGE),
    Row("delete", "delete", "Remove objects.", CHANGE),
    Row("scale", "scale", "Set how many instances of a Deployment or StatefulSet run.", CHANGE),
    Row("wait", "wait", "Return when every proxy has acknowledged an object.", CHANGE),
    Row("explain", "explain", "Tell what becomes of a request, and which line decides it; also why one failed.", LOOK),
    Row("describe", "describe", "Tell all that concerns a service or a workload.", LOOK),
    Row("proxy-status", "proxy_status", "Show what each proxy has acknowledged, and what it refused.", LOOK),
    Row(
        "proxy-config",
        "proxy_config",
        "Show the listeners, routes, clusters, endpoints or secrets that a proxy runs.",
        LOOK,
    ),
    Row("top", "top", "Show live who calls whom: rate, errors, latency, mutual TLS.", MEASURE),
    Row("metrics", "metrics", "Ask a question about the mesh's metrics, in PromQL.", MEASURE),
    Row("trace", "trace", "List the last traces, or show one as a waterfall.", MEASURE),
    Row("ca", "ca", "Show the certificate authority and what it issued, or rotate its root.", TRUST),
    Row("authz", "authz", "Tell who may call whom, and which rule decides; also without a mesh.", TRUST),
    Row("mixer", "mixer", "Tell where the actions of Mixer's rules are carried out; also without a mesh.", TRUST),
    Row("analyze", "analyze", "Tell what is wrong or doubtful, in files or in the mesh, with Istio's codes.", OFFLINE),
    Row("validate", "validate", "Check files; needs no mesh.", OFFLINE),
    Row("kinds", "kinds", "List the kinds of objects that files may hold.", OFFLINE),
    Row("completion", "completion", "Print the completion script for a shell.", OFFLINE),
    Row("version", "version", "Print the version of lateen, its mesh and its Envoy.", OFFLINE),
)
