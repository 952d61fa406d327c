"""Keys are fetched from real servers, good and bad ones."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from lateen.api.security.request_authentication import DISCOVERY
from lateen.errors import LateenError, Unavailable
from lateen.model.endpoint import Endpoint
from lateen.model.key_sets import KeySet, ProviderEndpoints
from lateen.model.snapshot import Snapshot
from lateen.platforms.jwks import KeyFetcher, Row
from lateen.platforms.web_documents import MAX_BYTES, Located, WebDocuments, mesh_locator
from lateen.serving.door_tls import DoorTls
from tests import tokens
from tests.auth.authorities import RATINGS, REVIEWS
from tests.plan import worlds
from tests.serving.identity import CONTROL_PLANE, authority, credentials

PATIENCE = timedelta(seconds=1)
KEYS = tokens.key_set(tokens.ec_key())
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Memory:
    """What a state file would keep."""

    def __init__(self, records: list[Row] | None = None) -> None:
        self.records = records or []

    def load(self) -> list[Row]:
        return list(self.records)

    def save(self, records: object) -> None:
        self.records = list(records)  # type: ignore[call-overload]


class Facts:
    """Takes what a control loop would."""

    def __init__(self) -> None:
        self.known: Mapping[str, KeySet] = {}
        self.changed = asyncio.Event()

    def report_keys(self, key_sets: Mapping[str, KeySet]) -> int:
        self.known = key_sets
        self.changed.set()
        return 0

    async def next(self) -> Mapping[str, KeySet]:
        async with asyncio.timeout(5):
            await self.changed.wait()
        self.changed.clear()
        return self.known


@asynccontextmanager
async def serving(answers: Mapping[str, Answer], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    app = web.Application()
    for path, answer in answers.items():
        app.router.add_get(path, answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


def says(text: str, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    return answer


def redirects(target: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"location": target})

    return answer


async def hangs(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


async def floods(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(2 * MAX_BYTES // 65536):
        await response.write(b" " * 65536)
    return response


BAD = {
    "/error": says("", 500),
    "/hangs": hangs,
    "/floods": floods,
    "/file": redirects("file:///etc/passwd"),
    "/loop": redirects("/loop"),
}


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/error", "answered 500"),
        ("/hangs", "did not answer within 1 s"),
        ("/floods", "answered more than"),
        ("/file", "redirects to file:///etc/passwd, which is not http or https"),
        ("/loop", "redirects more than 3 times"),
        ("/missing", "answered 404"),
    ],
)
async def test_bad_servers_are_named_and_bounded(path: str, why: str) -> None:
    async with serving(BAD) as url:
        with pytest.raises(LateenError, match=why):
            await WebDocuments().read(url + path, PATIENCE)


async def test_nobody_at_the_address_is_a_failure_too() -> None:
    with pytest.raises(LateenError, match="cannot be read"):
        await WebDocuments().read("http://127.0.0.1:1/keys", PATIENCE)


async def test_hosts_of_the_mesh_are_found_where_they_run() -> None:
    async with serving({"/keys": says(KEYS)}) as url:
        port = int(url.rpartition(":")[2])
        documents = WebDocuments(locate=lambda host, _: Located("127.0.0.1", port) if host == "issuer.shop" else None)
        assert await documents.read("http://issuer.shop:8080/keys", PATIENCE) == KEYS.encode()


async def test_a_workload_of_the_mesh_is_asked_with_the_meshs_tls_and_must_be_who_it_should() -> None:
    ca = authority()
    us, them = DoorTls(credentials(ca, CONTROL_PLANE)), DoorTls(credentials(ca, RATINGS))
    async with serving({"/keys": says(KEYS)}, them.context()) as url:
        port = int(url.rpartition(":")[2])

        async def read(expected: str, own: Callable[[], ssl.SSLContext | None] = us.calling) -> str:
            documents = WebDocuments(None, lambda *_: Located("127.0.0.1", port, expected), own)
            return (await documents.read("http://issuer.shop:8080/keys", PATIENCE)).decode()

        assert await read(str(RATINGS.identity)) == KEYS
        with pytest.raises(Unavailable, match=f"answered by {RATINGS.identity}, not by {REVIEWS.identity}"):
            await read(str(REVIEWS.identity))
        with pytest.raises(Unavailable, match="the control plane has no certificate yet"):
            await read(str(RATINGS.identity), lambda: None)
        stranger = DoorTls(credentials(authority(), CONTROL_PLANE))
        with pytest.raises(Unavailable, match="cannot be read"):
            await read(str(RATINGS.identity), stranger.calling)


def test_a_workload_is_called_with_the_meshs_tls_where_it_takes_it() -> None:
    endpoint = Endpoint("10.0.0.1", 8081, namespace="shop", service_account="issuer", proxied=True)
    found = {}
    for takes in (True, False):
        world = replace(
            worlds.snapshot(""), endpoints={("issuer.shop.svc.cluster.local", 80): (replace(endpoint, tls=takes),)}
        )
        found[takes] = mesh_locator(lambda now=world: now)("issuer.shop", 80)  # type: ignore[misc]
    assert found == {
        True: Located("10.0.0.1", 8081, "spiffe://cluster.local/ns/shop/sa/issuer"),
        False: Located("10.0.0.1", 8081),
    }


def mesh(*rules: str) -> Snapshot:
    return worlds.snapshot(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: a}\n"
        f"spec: {{jwtRules: [{', '.join(rules)}]}}\n"
    )


async def test_an_issuer_tells_a_login_its_endpoints_also_over_a_restart() -> None:
    memory = Memory()
    async with serving({"/keys": says(KEYS), DISCOVERY: introduces}) as url:
        login = worlds.snapshot(
            "apiVersion: lateen.dev/v1\nkind: OidcLogin\nmetadata: {name: a}\n"
            f"spec: {{selector: {{matchLabels: {{a: b}}}}, issuer: '{url}', clientId: a, clientSecret: {{name: a}}}}\n"
        )
        told = ProviderEndpoints(url, f"{url}/auth", f"{url}/token", "")
        async with fetching(memory) as (fetcher, facts):
            fetcher.take(login)
            assert (await facts.next())[url + DISCOVERY].provider == told
    async with fetching(memory) as (fetcher, facts):
        fetcher.take(login)
        assert (await facts.next())[url + DISCOVERY].provider == told


async def introduces(request: web.Request) -> web.Response:
    """The discovery document of whoever is asked; the end of a session is somewhere where nobody is led."""
    own = str(request.url.origin())
    places = {"jwks_uri": f"{own}/keys", "authorization_endpoint": f"{own}/auth", "token_endpoint": f"{own}/token"}
    return web.json_response({"issuer": own, **places, "end_session_endpoint": "javascript:alert(1)"})


@asynccontextmanager
async def fetching(memory: Memory | None = None) -> AsyncIterator[tuple[KeyFetcher, Facts]]:
    facts = Facts()
    fetcher = KeyFetcher(facts, WebDocuments(), memory or Memory(), jitter=lambda: 0)
    running = asyncio.create_task(fetcher.run())
    try:
        yield fetcher, facts
    finally:
        running.cancel()


async def test_keys_of_all_issuers_are_told_and_remembered() -> None:
    memory = Memory()
    async with serving({"/keys": says(KEYS)}) as url, fetching(memory) as (fetcher, facts):
        fetcher.take(mesh(f"{{issuer: a, jwksUri: '{url}/keys'}}"))
        known = await facts.next()
    assert json.loads(known[f"{url}/keys"].keys)["keys"][0]["kid"] == "ec"
    async with fetching(memory) as (fetcher, facts):
        fetcher.take(mesh(f"{{issuer: a, jwksUri: '{url}/keys'}}"))
        assert facts.known == known, "keys that were good before a restart count at once"


async def test_an_issuer_without_written_keys_is_asked_where_they_are() -> None:
    found: dict[str, str] = {}

    async def document(_: web.Request) -> web.Response:
        return web.json_response({"jwks_uri": f"{found['url']}/keys"})

    async with serving({"/keys": says(KEYS), "/.well-known/openid-configuration": document}) as url:
        found["url"] = url
        async with fetching() as (fetcher, facts):
            fetcher.take(mesh(f"{{issuer: '{url}/'}}"))
            known = await facts.next()
    assert known[f"{url}/.well-known/openid-configuration"].keys


async def test_a_failure_is_told_with_its_reason_and_the_last_good_keys_stay() -> None:
    answers = [says(KEYS), says('{"keys": [{"kty": "oct", "k": "eA"}]}')]

    async def next_answer(request: web.Request) -> web.StreamResponse:
        return await answers.pop(0)(request)

    async with serving({"/keys": next_answer}) as url, fetching() as (fetcher, facts):
        fetcher.take(mesh(f"{{issuer: a, jwksUri: '{url}/keys'}}"))
        good = (await facts.next())[f"{url}/keys"]
        await fetcher._fetch(f"{url}/keys")
        fetcher._tell()
        bad = (await facts.next())[f"{url}/keys"]
    assert bad.keys == good.keys and bad.failure == "the key set has no whole public key for signatures"


async def test_a_server_is_believed_only_with_a_certificate_that_is_trusted(tmp_path: Path) -> None:
    from tests.platforms.certificates import self_signed

    certificate, key = self_signed(tmp_path, "127.0.0.1")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    async with serving({"/keys": says(KEYS), "/down": redirects("http://127.0.0.1:1/")}, tls) as url:
        with pytest.raises(LateenError, match="certificate"):
            await WebDocuments().read(f"{url}/keys", PATIENCE)
        trusting = WebDocuments(certificate)
        assert await trusting.read(f"{url}/keys", PATIENCE) == KEYS.encode()
        with pytest.raises(LateenError, match="which is not https"):
            await trusting.read(f"{url}/down", PATIENCE)
