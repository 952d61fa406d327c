"""Asks policies in Rego: with an engine in this process, or a server of Open Policy Agent by its REST API."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final, Protocol

import aiohttp

from lateen.adapters.surroundings import Surroundings
from lateen.api.mixer.checks import OpaParams
from lateen.api.status_codes import StatusCode
from lateen.errors import ConfigRejected, Unavailable
from lateen.mixer.ports import CheckResult, Field, MadeInstance
from lateen.mixer.status import OK, Status

REMEMBERED: Final = timedelta(seconds=1)
"""How long a decision counts: what policies look at beside the request may change at any time."""

_PATIENCE_SECONDS: Final = 5.0
_REFUSED: Final = CheckResult(Status(StatusCode.PERMISSION_DENIED, "the policy does not allow it"), REMEMBERED)
_ALLOWED: Final = CheckResult(OK, REMEMBERED)


class Engine(Protocol):
    """Decides by Rego."""

    async def decide(self, question: Mapping[str, Any]) -> object:
        """Return what the rule comes to for an input; None where it is undefined. Raises `Unavailable`."""
        ...

    async def close(self) -> None:
        """Give back what the engine holds."""
        ...


class Opa:
    """A handler of the adapter opa: what the rule does not make `true` is refused.

    With `failClose` that holds for faults of the engine too; else they are the handler's faults like any other's.
    """

    def __init__(self, engine: Engine, *, fails_closed: bool) -> None:
        self._engine = engine
        self._fails_closed = fails_closed

    async def check(self, instance: MadeInstance) -> CheckResult:
        """Ask about the subject and the action of an instance."""
        try:
            decision = await self._engine.decide(_plain(instance.fields))
        except Unavailable as error:
            if not self._fails_closed:
                raise
            return CheckResult(Status(StatusCode.PERMISSION_DENIED, str(error)), timedelta(), 0)
        return _ALLOWED if decision is True else _REFUSED

    async def close(self) -> None:
        """Close the engine."""
        await self._engine.close()


class RegoEngine:
    """Evaluates policies in this process, each question in a thread: a policy that takes long keeps nobody else."""

    def __init__(self, policies: tuple[str, ...], rule: str) -> None:
        """Compile the policies. Raises `ConfigRejected` for what is no Rego, or where the engine is not installed."""
        try:
            import regopy
        except ImportError:
            raise ConfigRejected("the adapter opa needs the package regopy: pip install 'lateen[opa]'") from None
        self._interpreter = regopy.Interpreter()
        try:
            for position, policy in enumerate(policies):
                self._interpreter.add_module(f"policy[{position}].rego", policy)
            self._bundle = self._interpreter.build(rule)
        except regopy.RegoError as error:
            raise ConfigRejected(f"the policy cannot be compiled: {error}") from None
        self._fault = regopy.RegoError
        # an interpreter answers one question at a time
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rego")

    async def decide(self, question: Mapping[str, Any]) -> object:
        """Evaluate the rule."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._decide, question)

    async def close(self) -> None:
        """Let the thread end."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _decide(self, question: Mapping[str, Any]) -> object:
        try:
            self._interpreter.set_input(question)
            results = self._interpreter.query_bundle(self._bundle).results
        except (self._fault, ValueError) as error:
            raise Unavailable(f"the policy cannot be evaluated: {error}") from None
        return results[0].expressions[0] if len(results) == 1 and len(results[0].expressions) == 1 else None


class OpaServer:
    """Asks a server of Open Policy Agent: `POST /v1/data/PACKAGE/RULE` with the input."""

    def __init__(self, url: str, rule: str, surroundings: Surroundings) -> None:
        self._url = f"{url.rstrip('/')}/v1/data/{rule.removeprefix('data.').replace('.', '/')}"
        connector = aiohttp.TCPConnector(resolver=surroundings.resolver())
        timeout = aiohttp.ClientTimeout(_PATIENCE_SECONDS)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False)

    async def decide(self, question: Mapping[str, Any]) -> object:
        """Ask the server."""
        try:
            async with self._session.post(self._url, json={"input": question}) as answer:
                if answer.status != 200:
                    raise Unavailable(f"{self._url} answered {answer.status}")
                content = json.loads(await answer.read())
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unavailable(f"{self._url} cannot be asked: {str(error) or type(error).__name__}") from None
        return content.get("result") if isinstance(content, dict) else None

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def make(params: OpaParams, surroundings: Surroundings) -> Opa:
    """Return the handler that the settings ask for. Raises `ConfigRejected` for what is no Rego."""
    engine: Engine
    if params.server_url:
        engine = OpaServer(params.server_url, params.check_method, surroundings)
    else:
        engine = RegoEngine(params.policy, params.check_method)
    return Opa(engine, fails_closed=params.fail_close)


def _plain(fields: Mapping[str, Field]) -> dict[str, Any]:
    """Return the fields of an instance as JSON knows values."""
    return {name: _plain(value) if isinstance(value, Mapping) else _scalar(value) for name, value in fields.items()}


def _scalar(value: object) -> str | bool | int | float:
    if isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if isinstance(value, IPv4Address | IPv6Address):
        return str(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
