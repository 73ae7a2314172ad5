"""Connections in memory behave as those over TCP do."""

import asyncio
from typing import Any

import pytest

from linnet import LinnetError, Properties
from linnet.testing import BlockingBroker, Broker
from linnet.testing.memory import HIGH_WATER, MemoryTransport
from linnet.wire import Disconnect, Pingreq, Pingresp, Puback, Publish, Suback, Subscribe, SubscriptionOptions
from tests.testing.wires import Wire, connected

LARGE = bytes(100_000)


class End(asyncio.Protocol):
    """Notes what happens to it."""

    def __init__(self, stays_half_open: bool = False) -> None:
        self.stays_half_open = stays_half_open
        self.happened: list[Any] = []

    def data_received(self, data: bytes) -> None:
        self.happened.append(data)

    def eof_received(self) -> bool:
        self.happened.append("eof")
        return self.stays_half_open

    def connection_lost(self, error: Exception | None) -> None:
        self.happened.append(type(error))

    def pause_writing(self) -> None:
        self.happened.append("pause")

    def resume_writing(self) -> None:
        self.happened.append("resume")


def pair(**options: Any) -> tuple[MemoryTransport, End, MemoryTransport, End]:
    loop = asyncio.get_running_loop()
    ours, theirs = MemoryTransport(loop, "them"), MemoryTransport(loop, "us")
    ours.join(theirs)
    left, right = End(**options), End(**options)
    ours.start(left)
    theirs.start(right)
    return ours, left, theirs, right


async def settled() -> None:
    """Everything that was on its way has arrived: nothing here takes more than a few turns of the loop."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_client_needs_no_port() -> None:
    async with Broker(listen=None) as broker:
        with pytest.raises(LinnetError, match="listens at no port"):
            print(broker.port)
        wire = await connected(broker, "bob")
        wishes = Subscribe(1, [("a", SubscriptionOptions(1))], Properties())
        await wire.ask(wishes, Suback, 1)
        await wire.ask(Publish("a", LARGE, 1, packet_id=2), Puback, 2)
        assert (await wire.next()).payload == LARGE
        wire.send(Disconnect())
        assert await wire.closed() is None
        assert broker.server.connections == []
        await broker.restart()
        await connected(broker, "bob")
    assert broker.packets.select("CLOSED")


async def test_a_client_on_another_event_loop_needs_no_port_either() -> None:
    with BlockingBroker(listen=None) as broker:
        wire = await connected(broker, "bob")
        await wire.ask(Publish("a", LARGE, 1, packet_id=2), Puback, 2)
        assert broker.publish("a") == 0
        await wire.ask(Pingreq(), Pingresp)
        broker.cut("bob")
        assert isinstance(await wire.closed(), ConnectionResetError)
        wire = await connected(broker, "bob")
    await wire.closed()
    wire.send(Pingreq())


async def test_a_broker_without_its_loop_is_gone() -> None:
    with BlockingBroker(listen=None) as broker:
        wire = Wire()
        await broker.dial(lambda: wire)
        transport = wire.transport
        assert isinstance(transport, MemoryTransport)
        transport.pause_reading()  # what says that it is over is not read
    transport.write(b"x")
    transport.resume_reading()
    await wire.closed()


async def test_bytes_come_in_order_and_ends_are_half_open() -> None:
    ours, left, theirs, right = pair(stays_half_open=True)
    ours.write(b"1")
    ours.writelines([b"2", b"3"])
    ours.write_eof()
    ours.write(b"never")
    await settled()
    theirs.write(b"4")
    await settled()
    assert (left.happened, right.happened) == ([b"4"], [b"1", b"23", "eof"])
    theirs.close()
    await settled()
    assert (left.happened[1:], right.happened[3:]) == (["eof"], [type(None)])
    assert (ours.is_closing(), theirs.is_closing()) == (False, True)
    ours.close()
    await settled()
    assert left.happened[2:] == [type(None)]


async def test_who_is_closed_on_closes_too() -> None:
    ours, left, theirs, right = pair()
    ours.write(b"last words")
    ours.close()
    ours.close()
    await settled()
    assert (left.happened, right.happened) == ([type(None)], [b"last words", "eof", type(None)])
    assert theirs.is_closing() and not theirs.is_reading()


async def test_writing_to_who_is_gone_is_a_reset() -> None:
    ours, left, theirs, _ = pair(stays_half_open=True)
    theirs.abort()
    await settled()
    ours.write(b"anybody?")
    await settled()
    assert left.happened == ["eof", ConnectionResetError]


async def test_a_reset_loses_what_was_not_read() -> None:
    ours, left, theirs, right = pair()
    theirs.pause_reading()
    ours.write(b"lost")
    ours.reset()
    ours.reset()
    await settled()
    theirs.resume_reading()
    await settled()
    assert (left.happened, right.happened) == ([type(None)], [ConnectionResetError])


async def test_a_writer_is_paused_while_nobody_reads() -> None:
    ours, left, theirs, right = pair()
    assert ours.get_write_buffer_limits() == (HIGH_WATER // 4, HIGH_WATER)
    ours.set_write_buffer_limits(high=8)
    assert ours.can_write_eof() and ours.get_protocol() is left
    theirs.pause_reading()
    await settled()
    for _ in range(3):
        ours.write(b"1234")
    await settled()
    assert (left.happened, right.happened, ours.get_write_buffer_size()) == (["pause"], [], 12)
    theirs.resume_reading()
    await settled()
    assert (left.happened, right.happened) == (["pause", "resume"], [b"1234"] * 3)
    assert ours.get_write_buffer_size() == 0


async def test_a_protocol_that_raises_is_reported() -> None:
    class Broken(End):
        def data_received(self, data: bytes) -> None:
            raise ZeroDivisionError

    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, about: told.append(about))
    ours, left, theirs, _ = pair()
    broken = Broken()
    theirs.set_protocol(broken)
    ours.write(b"1")
    await settled()
    assert [type(about["exception"]) for about in told] == [ZeroDivisionError]
    assert (left.happened, broken.happened) == (["eof", type(None)], [type(None)])
