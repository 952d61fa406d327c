"""Where the records of refused and audited calls go: MeshConfig's extensionProvider `audit`, else the proxy's log.

    extensionProviders:
    - name: audit
      envoyFileAccessLog: {path: /var/log/audit.json}
      envoyOtelAls: {service: collector.telemetry.svc.cluster.local, port: 4317}

A file, a collector of OpenTelemetry, or both.
"""

from dataclasses import replace

from lateen import names
from lateen.plan.diagnostics import Notes
from lateen.plan.directory import Directory
from lateen.plan.types import AuditTrail, Guard, Origin

PROVIDER = "audit"
DEFAULT = AuditTrail("/dev/stdout")


def audited(guard: Guard, origin: Origin | None, directory: Directory, notes: Notes) -> Guard:
    """Return a guard whose refusals, and whatever AUDIT rules match, leave records.

    What is wrong with the provider is noted at `origin`, one of the guard's policies.
    """
    found = _trail(directory)
    if isinstance(found, str):
        if origin is not None:
            notes.add(origin, f"audit records go to the log of the proxy: {found}")
        found = DEFAULT
    return replace(guard, trail=found)


def _trail(directory: Directory) -> AuditTrail | str:
    """Read where records go, or why that cannot be."""
    provider = next((one for one in directory.view.mesh.extension_providers if one.name == PROVIDER), None)
    if provider is None:
        return DEFAULT
    file, collector = provider.envoy_file_access_log, provider.envoy_otel_als
    if file is None and collector is None:
        return f"extensionProvider {PROVIDER!r} has neither envoyFileAccessLog nor envoyOtelAls"
    if collector is None:
        return AuditTrail(file.path if file else "")
    host = collector.service.rpartition("/")[2]
    service = directory.service(host)
    if service is None or service.port(collector.port) is None:
        return f"the service {host} of extensionProvider {PROVIDER!r} is not known here on port {collector.port}"
    cluster = names.outbound_cluster(directory.stands_for(service).host, collector.port)
    return AuditTrail(file.path if file else "", cluster, f"{host}:{collector.port}", collector.log_name)
