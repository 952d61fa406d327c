"""Servers that look at messages and change them: ExternalProcessors in the plan's words."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Final

from lateen import names
from lateen.api.mesh.extension_providers import GrpcProcessor
from lateen.api.objects import ConfigObject
from lateen.api.policy.external_processor import ExternalProcessor
from lateen.plan.diagnostics import Notes, below
from lateen.plan.directory import Directory
from lateen.plan.processing_types import Processor
from lateen.plan.rate_limit_types import EVERY_REQUEST
from lateen.plan.request_matches import requests
from lateen.plan.types import Origin

_NOWHERE: Final = names.BLACK_HOLE_CLUSTER
_LONGEST: Final = timedelta(hours=1)
"""For how long Envoy waits at most."""


def processors(
    policies: Iterable[ConfigObject[ExternalProcessor]], directory: Directory, notes: Notes
) -> Iterator[Processor]:
    """Yield the processors of a class of proxies; one whose server is not known fails as if it did not answer."""
    for policy in policies:
        found = _server(policy.spec.provider.name, directory)
        if isinstance(found, str):
            fails = "passed by" if policy.spec.fail_open else "refused"
            notes.add(below(Origin(policy.key, "spec.provider"), "name"), f"{found}: what it is for is {fails}")
            found = GrpcProcessor(service=policy.spec.provider.name, port=1)
            yield replace(_processor(policy, found, directory), cluster=_NOWHERE)
        else:
            yield _processor(policy, found, directory)


def _server(name: str, directory: Directory) -> GrpcProcessor | str:
    """Return where a provider is asked, or why that is not known."""
    provider = next((one for one in directory.view.mesh.extension_providers if one.name == name), None)
    if provider is None:
        known = ", ".join(one.name for one in directory.view.mesh.extension_providers) or "none"
        return f"there is no extensionProvider {name!r} in MeshConfig (there is: {known})"
    settings = provider.envoy_ext_proc_grpc
    if settings is None:
        return f"extensionProvider {name!r} is no processor: it needs envoyExtProcGrpc"
    host = settings.service.rpartition("/")[2]
    service = directory.service(host)
    if service is None or service.port(settings.port) is None:
        return f"the service {host} of extensionProvider {name!r} is not known here on port {settings.port}"
    return settings


def _processor(policy: ConfigObject[ExternalProcessor], settings: GrpcProcessor, directory: Directory) -> Processor:
    spec, host = policy.spec, settings.service.rpartition("/")[2]
    service = directory.service(host)
    stands_for = directory.stands_for(service).host if service else host
    return Processor(
        name=f"{policy.namespace}/{policy.name}",
        cluster=names.outbound_cluster(stands_for, settings.port),
        authority=f"{host}:{settings.port}",
        request=spec.request,
        response=spec.response,
        timeout=min(spec.timeout or settings.timeout, _LONGEST),
        requests=requests(spec.match) if spec.match else EVERY_REQUEST,
        fails_open=spec.fail_open,
        may_change_mode=spec.may_change_mode,
        origin=Origin(policy.key, "spec"),
    )
