"""The certificate authority's part of the API, over a real socket."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lateen.auth import keys, requests
from lateen.auth.attestation import Evidence
from lateen.auth.issuer import Issuer
from lateen.auth.minting import TokenMint
from lateen.auth.plugged_in import CERTIFICATE_FILE, KEY_FILE, ROOT_FILE, plugged_in
from lateen.auth.rotation import Proof
from lateen.auth.tokens import SharedSecret, TokenVerifier
from lateen.platforms.local.ca_files import read_authority_files
from lateen.platforms.local.identities import Outlook
from lateen.serving import api
from lateen.serving.ca_routes import CaRoutes
from tests.auth.authorities import KEY, NOW, RATINGS, REVIEWS, Clock, Memory, by_hand, issuer
from tests.serving.small_mesh import SmallMesh

SECRET = SharedSecret(b"s" * 32)
OUTLOOK = Outlook(NOW, 1, "no disk", NOW)


class Proxies:
    """Two proxies; `follow` lets them have what they are to have."""

    def __init__(self, running: Issuer) -> None:
        self.running = running
        self.proofs: dict[str, Proof] = {}
        self.own: dict[str, Proof] = {}
        self.follow()

    def follow(self) -> None:
        has = Proof(self.running.bundle.digest, self.running.signer)
        self.proofs = dict.fromkeys(("ratings-v1-1.default", "reviews-v1-1.default"), has)


@pytest.fixture
def running() -> Issuer:
    found = issuer()
    for each in (REVIEWS, RATINGS):
        found.issue(Evidence(started=each.subject), requests.certificate_request(KEY))
    return found


@pytest.fixture
def minted() -> Memory:
    return Memory()


@pytest.fixture
def proxies(running: Issuer) -> Proxies:
    return Proxies(running)


@pytest.fixture
async def client(
    running: Issuer, proxies: Proxies, minted: Memory, tmp_path: Path
) -> AsyncIterator[aiohttp.ClientSession]:
    routes = CaRoutes(
        running,
        lambda: proxies.proofs,
        lambda directory: plugged_in(read_authority_files(directory), NOW),
        own_proofs=lambda: proxies.own,
        mint=TokenMint(SECRET, minted, lambda: "cluster.local", Clock(), lambda: "token-1"),
        lifetime=lambda: timedelta(hours=2),
        outlook=lambda: OUTLOOK,
    )
    runner = await api.serve(replace(SmallMesh().api(), ca=routes), tmp_path / "api.sock")
    connector = aiohttp.UnixConnector(str(tmp_path / "api.sock"))
    async with aiohttp.ClientSession("http://lateen", connector=connector) as session:
        yield session
    await runner.cleanup()


async def get(client: aiohttp.ClientSession, path: str) -> Any:
    async with client.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def post(client: aiohttp.ClientSession, path: str, status: int = 200, **body: object) -> Any:
    async with client.post(path, json=body) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def test_what_there_is(client: aiohttp.ClientSession, running: Issuer) -> None:
    told = await get(client, "/v1/ca")
    root = running.rotation.current.root
    signer = {
        "subject": root.subject.rfc4514_string(),
        "fingerprint": running.signer,
        "serial": "7",
        "not_before": NOW.timestamp() - 120,
        "not_after": root.not_valid_after_utc.timestamp(),
        "key": "ECDSA P-256",
        "is_self_signed": True,
        "root": root.subject.rfc4514_string(),
        "chain_not_after": root.not_valid_after_utc.timestamp(),
    }
    certificate = {name: signer[name] for name in ("subject", "fingerprint", "serial", "not_before", "not_after")}
    assert told == {
        "trust_domain": "cluster.local",
        "trust_domain_aliases": [],
        "stage": "steady",
        "signer": signer,
        "current": signer,
        "next": None,
        "roots": [{"trust_domain": "cluster.local", **certificate}],
        "bundle": running.bundle.digest,
        "lifetime_seconds": 7200,
        "renewal": {"first_expiry": NOW.timestamp(), "failing": 1, "problem": "no disk", "since": NOW.timestamp()},
        "issued": 2,
        "proxies": 2,
        "lacks": [],
    }
    assert (await get(client, "/v1/ca/roots"))["pem"] == running.bundle.pem


async def test_what_was_issued(client: aiohttp.ClientSession, running: Issuer) -> None:
    found = (await get(client, "/v1/ca/issued"))["issued"]
    assert found[0] == {
        "serial": "3e8",
        "identity": str(REVIEWS.identity),
        "workload": REVIEWS.subject,
        "not_before": NOW.timestamp() - 120,
        "not_after": NOW.timestamp() + 86400,
        "signer": running.signer,
    }
    assert len(found) == 2
    assert (await get(client, "/v1/ca/issued?namespace=other"))["issued"] == []


async def test_each_step_waits_for_proof(client: aiohttp.ClientSession, running: Issuer, proxies: Proxies) -> None:
    told = await post(client, "/v1/ca/rotate", key="rsa-2048")
    assert (told["stage"], told["next"]["key"], len(told["roots"]), len(told["lacks"])) == (
        "both-trusted",
        "RSA 2048",
        2,
        2,
    )
    refused = await post(client, "/v1/ca/advance", 503)
    assert refused["error"]["message"] == (
        "the rotation cannot go on: ratings-v1-1.default has not acknowledged the roots that are to be trusted now"
        " (and 1 others)"
    )
    for stage in ("new-signs", "steady"):
        proxies.follow()
        told = await post(client, "/v1/ca/advance")
        assert told["stage"] == stage
    assert (told["signer"]["key"], len(told["roots"])) == ("RSA 2048", 1)
    assert [each["lack"] for each in told["lacks"]] == ["has not acknowledged the roots that are to be trusted now"] * 2


async def test_a_root_goes_only_when_the_control_plane_and_the_owner_need_it_no_more(
    client: aiohttp.ClientSession, running: Issuer, proxies: Proxies
) -> None:
    await post(client, "/v1/ca/rotate")
    proxies.own = {"owner": Proof(running.bundle.digest, running.signer)}
    proxies.follow()
    await post(client, "/v1/ca/advance")
    proxies.follow()
    refused = await post(client, "/v1/ca/advance", 503)
    assert refused["error"]["message"] == (
        "the rotation cannot go on: owner has no certificate of the authority that signs now"
    )
    told = await get(client, "/v1/ca")
    assert (told["proxies"], [each["proxy"] for each in told["lacks"]]) == (2, ["owner"])


async def test_a_token_says_what_was_asked_for_and_is_written_down(
    client: aiohttp.ClientSession, minted: Memory
) -> None:
    told = await post(
        client, "/v1/ca/token", namespace="shop", service_account="cart", workload="cart-1", app="cart", seconds=60
    )
    identity, end = "spiffe://cluster.local/ns/shop/sa/cart", NOW + timedelta(seconds=60)
    assert {name: told[name] for name in told if name != "token"} == {
        "id": "token-1",
        "identity": identity,
        "workload": "cart-1",
        "expires": end.timestamp(),
    }
    (claims,) = minted.minted
    assert TokenVerifier(SECRET).verify(told["token"], NOW) == claims
    assert (str(claims.identity), claims.workload, claims.app, claims.expires) == (identity, "cart-1", "cart", end)


async def test_an_own_authority_can_be_brought_in(client: aiohttp.ClientSession, tmp_path: Path) -> None:
    root = by_hand("company root")
    (tmp_path / CERTIFICATE_FILE).write_bytes(root.pem)
    (tmp_path / KEY_FILE).write_bytes(keys.key_pem(root.key))
    (tmp_path / ROOT_FILE).write_bytes(root.pem)
    told = await post(client, "/v1/ca/rotate", directory=str(tmp_path))
    assert told["next"]["subject"] == "CN=company root"
    assert (await post(client, "/v1/ca/abort"))["next"] is None


REFUSALS: dict[str, tuple[str, dict[str, object], int, str]] = {
    "nothing to abort": ("abort", {}, 422, "no rotation is under way, so there is nothing to abort"),
    "nothing to go on with": ("advance", {}, 422, "no rotation is under way; begin one with `lateen ca rotate`"),
    "no such key": ("rotate", {"key": "dsa"}, 400, "there is no kind of key 'dsa'; there are ecdsa-p256, ecdsa-p384"),
    "token for nobody": ("token", {"namespace": "shop", "workload": ""}, 400, "a bootstrap token is for one workload"),
    "token for a bad name": ("token", {"namespace": "shop", "workload": "A b"}, 400, "'A b' is no name for a cert"),
    "token without namespace": ("token", {"workload": "a"}, 400, "namespace is None; it must be a text"),
    "token for ever": ("token", {"namespace": "a", "workload": "a", "seconds": 1e6}, 400, "at most 24h"),
    "token for no time": ("token", {"namespace": "a", "workload": "a", "seconds": -1}, 400, "it must be a number"),
    "no such directory": ("rotate", {"directory": "/nowhere"}, 422, "cannot read /nowhere/ca-cert.pem of the plugged"),
}


@pytest.mark.parametrize(("step", "body", "status", "message"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_refusals(
    client: aiohttp.ClientSession, step: str, body: dict[str, object], status: int, message: str
) -> None:
    refused = await post(client, f"/v1/ca/{step}", status, **body)
    assert message in refused["error"]["message"]
    assert (await get(client, "/v1/ca"))["stage"] == "steady"


async def test_a_private_key_is_never_told(client: aiohttp.ClientSession, running: Issuer) -> None:
    secret = keys.key_pem(running.rotation.current.key).decode().splitlines()[1]
    await post(client, "/v1/ca/rotate")
    for path in ("/v1/ca", "/v1/ca/issued", "/v1/ca/roots"):
        async with client.get(path) as answer:
            text = await answer.text()
        assert "PRIVATE" not in text
        assert secret not in text
