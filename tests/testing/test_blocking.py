"""The broker on a thread of its own, for tests without an event loop and for those with one."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from threading import enumerate as threads

import pytest

from linnet import LinnetError, ReasonCode, SettingsError
from linnet.testing import BlockingBroker, NotSeen
from linnet.wire import V5, Connect, Pingreq, Publish
from tests.peer import Peer


@contextmanager
def plain(broker: BlockingBroker, client_id: str) -> Iterator[socket.socket]:
    """A client that knows no asyncio."""
    with socket.create_connection((broker.host, broker.port), 10) as sock:
        sock.sendall(Connect(client_id).encode(V5))
        assert sock.recv(1) == b"\x20"
        yield sock


def test_a_plain_function_waits_by_blocking() -> None:
    with BlockingBroker() as broker:
        with plain(broker, "bob") as bob:
            later = Thread(target=bob.sendall, args=(Publish("a", b"1").encode(V5),))
            later.start()
            assert broker.wait_for_message("a").payload == b"1"
            later.join()
            assert broker.clients == ["bob"]
            broker.cut("bob")
            with pytest.raises(ConnectionResetError):
                while bob.recv(100):
                    pass
        assert broker.wait_for("CLOSED", by="bob").detail == "cut off by the test"
        with pytest.raises(NotSeen, match="no PINGREQ by 'bob' within 0 s; the last of 4 packets were"):
            broker.wait_for("PINGREQ", by="bob", timeout=0)
    assert not [thread for thread in threads() if thread.name == "linnet.testing"]
    assert [seen.name for seen in broker.packets] == ["CONNECT", "CONNACK", "PUBLISH", "CLOSED"]


def test_all_verbs_work_from_another_thread() -> None:
    with BlockingBroker(max_qos=1) as broker:
        port = broker.port
        with broker.drop("PUBLISH") as fault, plain(broker, "bob") as bob:
            bob.sendall(Publish("a").encode(V5) + Pingreq().encode(V5))
            broker.wait_for("PINGREQ")
            assert fault.hits == 1
        broker.publish("kept", "1", retain=True)
        assert list(broker.retained) == ["kept"]
        broker.advance(60)
        broker.stop(sessions=False)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((broker.host, port))
        broker.start()
        assert (broker.sessions, broker.retained) == ({}, {})
        broker.restart(goodbye=True)
        with plain(broker, "bob"):
            assert (broker.port, broker.url) == (port, f"mqtt://127.0.0.1:{port}")
        with pytest.raises(LookupError):
            broker.cut("ann")


async def test_a_coroutine_awaits_the_same_verbs() -> None:
    with BlockingBroker() as broker:
        async with Peer(broker, "bob") as bob:
            await bob.publish("a", b"1", qos=1)
            assert (await broker.aio.wait_for_message("a")).payload == b"1"
            with pytest.raises(NotSeen):
                await broker.aio.wait_for("PUBACK", by="bob", timeout=0)
            with pytest.raises(RuntimeError, match=r"await the same verb of `\.aio`"):
                broker.wait_for("PUBACK")
            broker.cut("bob", ReasonCode.SERVER_BUSY)
            assert [packet.reason_code for packet in await bob.closed()] == [ReasonCode.SERVER_BUSY]
        await broker.aio.restart(sessions=False)
        async with Peer(broker, "bob") as again:
            await again.ping()


def test_what_cannot_start_says_why() -> None:
    with pytest.raises(SettingsError, match="max_qos = 7"):
        BlockingBroker(max_qos=7)
    with BlockingBroker() as broker, pytest.raises(OSError, match=r"127\.0\.0\.1"):
        BlockingBroker(listen=f"127.0.0.1:{broker.port}").__enter__()
    with pytest.raises(LinnetError, match="does not run"):
        broker.wait_for("PUBLISH")
