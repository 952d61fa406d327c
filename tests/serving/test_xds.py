"""The discovery server with gRPC clients of our own: what a well-behaved Envoy never does."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from open_door import CLASS

from lateen.manager.pushes import Pushes
from lateen.serving.xds import Budget
from lateen.xds import order
from lateen.xds.resources import Resource

PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
LIMIT_SECONDS = 10


def resource(name: str, version: str, size_bytes: int = 0) -> Resource:
    inner = discovery_pb2.Resource(name=name, version=version)
    inner.resource.value = b"x" * size_bytes
    return Resource(name, version, discovery_pb2.DeltaDiscoveryResponse(resources=[inner]).SerializeToString())


class Client:
    """One stream."""

    def __init__(self, socket: Path) -> None:
        self.channel = grpc.aio.insecure_channel(f"unix:{socket}", options=[("grpc.max_receive_message_length", -1)])
        self.call = self.channel.stream_stream(PATH)()

    async def send(self, url: str = order.CLUSTER, node: str = "", **fields: Any) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=url, **fields)
        request.node.id = node
        await self.call.write(request.SerializeToString())

    async def read(self) -> Any:
        return discovery_pb2.DeltaDiscoveryResponse.FromString(await asyncio.wait_for(self.call.read(), LIMIT_SECONDS))

    async def code(self) -> grpc.StatusCode:
        return await asyncio.wait_for(self.call.code(), LIMIT_SECONDS)

    async def close(self) -> None:
        await self.channel.close()


async def test_a_proxy_is_answered_and_counts_as_settled_when_it_acknowledges(pushes: Pushes, socket: Path) -> None:
    pushes.publish(CLASS, {order.CLUSTER: {"a": resource("a", "1")}}, 1)
    client = Client(socket)
    await client.send(node="one")
    response = await client.read()
    assert [(r.name, r.version) for r in response.resources] == [("a", "1")]
    assert response.type_url == order.CLUSTER
    assert pushes.unsettled(1) == [pushes.connections["one"]]
    await client.send(response_nonce=response.nonce)
    await asyncio.wait_for(pushes.settle(1), LIMIT_SECONDS)
    await client.close()


async def test_a_refusal_and_its_message_are_in_the_status(pushes: Pushes, socket: Path) -> None:
    pushes.publish(CLASS, {order.CLUSTER: {"a": resource("a", "1")}}, 1)
    client = Client(socket)
    await client.send(node="one")
    response = await client.read()
    refusal = discovery_pb2.DeltaDiscoveryRequest(type_url=order.CLUSTER, response_nonce=response.nonce)
    refusal.error_detail.message = "no good"
    await client.call.write(refusal.SerializeToString())
    await client.send(url=order.ENDPOINT, resource_names_subscribe=["x"])
    await client.read()
    clusters = pushes.statuses()[0].types[0]
    assert (clusters.state, clusters.message, clusters.rejected[0].name) == ("ERROR", "no good", "a")
    await client.close()


async def test_a_stranger_is_told_why_it_is_turned_away(pushes: Pushes, socket: Path) -> None:
    client = Client(socket)
    await client.send(node="stranger")
    assert await client.code() is grpc.StatusCode.PERMISSION_DENIED
    assert "stranger" in (await client.call.details() or "")
    await client.close()


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff garbage", b""], ids=["garbage", "nobody"])
async def test_what_is_no_request_ends_only_its_own_stream(data: bytes, pushes: Pushes, socket: Path) -> None:
    client = Client(socket)
    await client.call.write(data)
    assert await client.code() is grpc.StatusCode.INVALID_ARGUMENT
    await client.close()
    await test_a_proxy_is_answered_and_counts_as_settled_when_it_acknowledges(pushes, socket)


async def test_garbage_in_the_middle_ends_the_stream_and_forgets_the_proxy(pushes: Pushes, socket: Path) -> None:
    client = Client(socket)
    await client.send(node="one")
    await client.call.write(b"\xff\xff\xff")
    assert await client.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not pushes.connections
    await client.close()


async def test_a_second_stream_of_a_proxy_replaces_the_first(pushes: Pushes, socket: Path) -> None:
    pushes.publish(CLASS, {order.CLUSTER: {"a": resource("a", "1")}}, 1)
    first, second = Client(socket), Client(socket)
    await first.send(node="one")
    await first.read()
    await second.send(node="one")
    await second.read()
    assert await first.code() is grpc.StatusCode.ABORTED
    assert list(pushes.connections) == ["one"]
    await first.close()
    await second.close()


async def test_a_proxy_that_hangs_up_is_forgotten(pushes: Pushes, socket: Path) -> None:
    client = Client(socket)
    await client.send(node="one")
    await until(lambda: pushes.connections)
    settled = asyncio.ensure_future(pushes.settle(7))
    await client.close()
    await asyncio.wait_for(settled, LIMIT_SECONDS)
    assert not pushes.connections


async def test_a_proxy_that_does_not_read_delays_nobody(pushes: Pushes, socket: Path) -> None:
    big = {order.CLUSTER: {"a": resource("a", "1", 20_000_000)}}
    pushes.publish(CLASS, big, 1)
    slow, quick = Client(socket), Client(socket)
    await slow.send(node="slow")
    await until(lambda: pushes.connections)
    await quick.send(node="quick")
    response = await quick.read()
    await quick.send(response_nonce=response.nonce)
    await asyncio.wait_for(pushes.settle(1, ["quick"]), LIMIT_SECONDS)
    assert pushes.unsettled(1) == [pushes.connections["slow"]]
    await slow.close()
    await quick.close()


async def test_the_budget_is_given_in_order_and_given_back() -> None:
    budget = Budget(10)
    assert await budget.take(99) == 10
    waiting = [asyncio.ensure_future(budget.take(size)) for size in (6, 3, 6)]
    await asyncio.sleep(0)
    waiting[1].cancel()
    budget.give_back(10)
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [True, True, False]
    budget.give_back(6)
    assert await waiting[2] == 6


async def until(condition: Any) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)
