"""The words between supervisor and control plane."""

import json

import pytest

from lateen.platforms.local import protocol
from lateen.platforms.local.protocol import Event, Exit, Interception, ProcessSpec, ProcessState, Refused, SandboxSpec

SANDBOX = SandboxSpec(
    id="default.ratings-0",
    address="10.244.1.4",
    hostname="ratings-0",
    search=("default.svc.cluster.local",),
    hosts={"db": "10.1.2.3"},
    interception=Interception(include_inbound_ports=(80,), exclude_outbound_ip_ranges=("10.9.0.0/16",)),
)
STATE = ProcessState(
    sandbox="a",
    name="app",
    pid=7,
    start_time=1234,
    started_at=1.5,
    digest="d",
    role="app",
    marker="",
    log="/a.log",
    exit=Exit(code=None, signal="SIGKILL", at=2.5),
)
EVENT = Event(name="process_exited", number=3, at=2.5, process=STATE)


@pytest.mark.parametrize("message", [SANDBOX, STATE, EVENT], ids=["sandbox", "state", "event"])
def test_what_is_encoded_decodes_to_the_same(message: object) -> None:
    wire = json.loads(json.dumps(protocol.encode(message)))
    assert protocol.decode(type(message), wire) == message


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ({}, "SandboxSpec needs more fields; absent are id, address, hostname"),
        ({"ip": "10.244.1.1"}, "SandboxSpec has no field ip; it has address, hostname, hosts, id"),
        ({"id": 1}, "SandboxSpec.id is 1, expected str"),
        ({"search": "a.b"}, "SandboxSpec.search is 'a.b', expected a list"),
        ({"interception": {"dns": 1}}, "SandboxSpec.interception.dns is 1, expected bool"),
        ({"interception": {"exclude_inbound_ports": [True]}}, r"exclude_inbound_ports\[0\] is True, expected a whole"),
        ([], r"SandboxSpec is \[\], expected an object"),
    ],
)
def test_a_body_that_does_not_fit_is_refused_by_field(body: object, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint) as refused:
        protocol.decode(SandboxSpec, body)
    assert refused.value.code == "bad_request"


def test_the_digest_tells_specs_apart_but_not_their_markers() -> None:
    spec = ProcessSpec(sandbox="a", name="app", argv=("true",), env={"A": "1", "B": "2"}, marker="1")
    same = ProcessSpec(sandbox="a", name="app", argv=("true",), env={"B": "2", "A": "1"}, marker="2")
    other = ProcessSpec(sandbox="a", name="app", argv=("false",), env={"A": "1", "B": "2"})
    assert protocol.digest(spec) == protocol.digest(same) != protocol.digest(other)
