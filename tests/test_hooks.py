"""Hooks decide: at once or later, for one connection, and a faulty one harms that connection only."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from linnet import ApplicationMessage as Message
from linnet import Broker, Exchange, Hooks, Peer, ReasonCode, Step
from linnet.core.session import Session
from linnet.wire import (
    V3_1_1,
    Auth,
    Connack,
    Connect,
    Disconnect,
    Properties,
    Puback,
    Publish,
    SubscriptionOptions,
    Will,
)
from tests.conftest import MakeBroker
from tests.peer import Peer as Client

BOUND = 10.0


class Doorkeeper(Hooks):
    """Admits by name: `in` and those whose name begins so, the others are refused; `fault` fails."""

    def __init__(self) -> None:
        self.seen: list[Peer] = []

    def admit(self, connect: Connect, peer: Peer) -> ReasonCode:
        self.seen.append(peer)
        if connect.client_id == "fault":
            raise RuntimeError("a fault of the hook")
        return ReasonCode.SUCCESS if connect.client_id.startswith("in") else ReasonCode.NOT_AUTHORIZED


class SlowDoorkeeper(Doorkeeper):
    """The same after a turn of the loop."""

    async def admit(self, connect: Connect, peer: Peer) -> ReasonCode:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().admit(connect, peer)


@pytest.mark.parametrize("kind", [Doorkeeper, SlowDoorkeeper])
async def test_a_client_is_admitted_or_told_why_not(kind: type[Doorkeeper], make_broker: MakeBroker) -> None:
    hooks = kind()
    broker = await make_broker(hooks=hooks)
    async with Client(broker, "in") as admitted:
        await admitted.ping()
    refused = await Client(broker, "out", will=Will("t", b"gone"))
    assert refused.connack.reason_code == ReasonCode.NOT_AUTHORIZED
    await refused.closed()
    old = await Client(broker, "out", V3_1_1)
    assert old.connack.reason_code == ReasonCode.NOT_AUTHORIZED  # sent as 5, which means just that
    await old.closed()
    assert "out" not in broker.sessions
    assert hooks.seen[0].address.startswith("127.0.0.1:")
    assert hooks.seen[0].listener == f"127.0.0.1:{broker.port}"


@pytest.mark.parametrize("kind", [Doorkeeper, SlowDoorkeeper])
async def test_a_doorkeeper_that_fails_lets_nobody_in_and_harms_nobody_else(
    kind: type[Doorkeeper], make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await make_broker(hooks=kind())
    async with Client(broker, "in") as other:
        with caplog.at_level(logging.ERROR, "linnet"):
            faulty = await Client.raw(broker)
            faulty.send(Connect("fault"))
            for packet in await faulty.closed():
                assert isinstance(packet, Connack) and packet.reason_code >= 0x80
        assert "a fault of the hook" in caplog.text
        await other.ping()
    assert "fault" not in broker.sessions


class Censor(Hooks):
    """Refuses topics that begin with `no`, changes those that begin with `change`, fails at `fault`."""

    def publishing(self, session: Session, message: Message) -> Message | ReasonCode:
        if message.topic == "fault":
            raise RuntimeError("a fault of the hook")
        if message.topic.startswith("no"):
            return ReasonCode.NOT_AUTHORIZED
        if message.topic.startswith("change"):
            return Message("changed", message.payload.upper(), message.qos, message.retain)
        return message


class SlowCensor(Censor):
    """The same after a turn of the loop."""

    async def publishing(self, session: Session, message: Message) -> Message | ReasonCode:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().publishing(session, message)


@pytest.mark.parametrize("kind", [Censor, SlowCensor])
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_goes_on_is_changed_or_is_refused(
    kind: type[Censor], qos: int, make_broker: MakeBroker
) -> None:
    broker = await make_broker(hooks=kind())
    async with Client(broker, "ann") as ann, Client(broker, "bob") as bob:
        await bob.subscribe("#", qos=2)
        for topic, code in (("yes", 0), ("no", ReasonCode.NOT_AUTHORIZED), ("change/x", 0)):
            answer = await ann.publish(topic, b"x", qos=qos)
            assert answer is None if qos == 0 else answer.reason_code == code
        got = [await bob.receive() for _ in range(2)]
        assert [(one.topic, one.payload, one.qos) for one in got] == [("yes", b"x", qos), ("changed", b"X", qos)]
        await ann.ping()
        await bob.nothing()


@pytest.mark.parametrize("kind", [Censor, SlowCensor])
async def test_what_is_refused_is_not_retained(kind: type[Censor], make_broker: MakeBroker) -> None:
    broker = await make_broker(hooks=kind())
    async with Client(broker, "ann") as ann:
        for topic in ("yes", "no"):
            await ann.publish(topic, b"x", qos=1, retain=True)
    assert list(broker.core.router.retained.messages) == [b"yes"]


@pytest.mark.parametrize("kind", [Censor, SlowCensor])
async def test_a_client_of_3_1_1_is_not_told_and_its_message_goes_nowhere(
    kind: type[Censor], make_broker: MakeBroker
) -> None:
    broker = await make_broker(hooks=kind())
    async with Client(broker, "ann", V3_1_1) as ann, Client(broker, "bob") as bob:
        await bob.subscribe("#", qos=2)
        for qos in (1, 2):
            assert (await ann.publish("no", b"x", qos=qos)).reason_code == 0
        await bob.nothing()


@pytest.mark.parametrize("kind", [Censor, SlowCensor])
async def test_a_censor_that_fails_ends_that_connection_and_no_other(
    kind: type[Censor], make_broker: MakeBroker, caplog: pytest.LogCaptureFixture
) -> None:
    broker = await make_broker(hooks=kind())
    async with Client(broker, "bob") as bob:
        ann = await Client(broker, "ann")
        ann.send(Publish("fault", b"x", 1, packet_id=1))
        (goodbye,) = await ann.closed()
        assert isinstance(goodbye, Disconnect) and goodbye.reason_code == ReasonCode.UNSPECIFIED_ERROR
        assert "a fault of the hook" in caplog.text
        await bob.ping()
    assert "ann" not in broker.sessions


@pytest.mark.parametrize("kind", [Censor, SlowCensor])
async def test_a_censor_that_fails_at_a_will_stops_neither_the_clock_nor_a_session_s_end(
    kind: type[Censor], make_broker: MakeBroker
) -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    broker = await make_broker(hooks=kind())
    async with Client(broker, "watcher") as watcher:
        await watcher.subscribe("will", qos=1)
        for client_id, topic in (("ann", "fault"), ("bob", "will")):
            properties = Properties(session_expiry_interval=1)
            will = Will(topic, b"gone", properties=Properties(will_delay_interval=1))
            one = await Client(broker, client_id, will=will, properties=properties)
            one.abort()
        try:
            assert (await watcher.receive()).payload == b"gone"
        finally:
            asyncio.get_running_loop().set_exception_handler(None)
        await watcher.ping()
        assert "ann" not in broker.sessions


class Gate(Hooks):
    """Keeps every message until the test lets it pass."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.open = asyncio.Event()

    async def publishing(self, session: Session, message: Message) -> Message:
        if session.client_id == "ann":
            self.asked.set()
            await self.open.wait()
        return message


async def test_a_hook_that_waits_holds_up_its_own_connection_only(make_broker: MakeBroker) -> None:
    gate = Gate()
    broker = await make_broker(hooks=gate)
    async with Client(broker, "ann") as ann, Client(broker, "bob") as bob:
        await bob.subscribe("t", qos=1)
        waiting = asyncio.create_task(ann.publish("t", b"1", qos=1))
        await gate.asked.wait()
        assert (await bob.publish("t", b"2", qos=1)).reason_code == 0
        assert (await bob.receive()).payload == b"2"
        assert not waiting.done()
        gate.open.set()
        async with asyncio.timeout(BOUND):
            assert (await waiting).reason_code == 0
        assert (await bob.receive()).payload == b"1"


async def test_messages_that_a_hook_holds_keep_their_order(make_broker: MakeBroker) -> None:
    gate = Gate()
    broker = await make_broker(hooks=gate)
    async with Client(broker, "ann") as ann, Client(broker, "bob") as bob:
        await bob.subscribe("t")
        for number in range(20):
            await ann.publish("t", b"%d" % number)
        await gate.asked.wait()
        gate.open.set()
        assert [(await bob.receive()).payload for _ in range(20)] == [b"%d" % number for number in range(20)]


class Librarian(Hooks):
    """Grants at most QoS 1, refuses what begins with `no`, fails at `fault`."""

    def subscribing(self, session: Session, name: str, options: SubscriptionOptions) -> int:
        if name == "fault":
            raise RuntimeError("a fault of the hook")
        return ReasonCode.NOT_AUTHORIZED if name.startswith("no") else min(options.qos, 1)


class SlowLibrarian(Librarian):
    """The same after a turn of the loop."""

    async def subscribing(self, session: Session, name: str, options: SubscriptionOptions) -> int:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().subscribing(session, name, options)


@pytest.mark.parametrize("kind", [Librarian, SlowLibrarian])
async def test_each_filter_is_granted_or_refused(kind: type[Librarian], make_broker: MakeBroker) -> None:
    broker = await make_broker(hooks=kind())
    async with Client(broker, "bob") as bob:
        options = SubscriptionOptions(2)
        suback = await bob.subscribe(
            [("yes", options), ("no", options), ("bad/#/x", options), ("t", SubscriptionOptions())]
        )
        assert suback.reason_codes == [1, ReasonCode.NOT_AUTHORIZED, ReasonCode.TOPIC_FILTER_INVALID, 0]
        assert sorted(broker.sessions["bob"].subscriptions) == [b"t", b"yes"]
    async with Client(broker, "old", V3_1_1) as old:
        assert (await old.subscribe("no", qos=1)).reason_codes == [0x80]


@pytest.mark.parametrize("kind", [Librarian, SlowLibrarian])
async def test_a_librarian_that_fails_ends_that_connection_and_no_other(
    kind: type[Librarian], make_broker: MakeBroker
) -> None:
    broker = await make_broker(hooks=kind())
    async with Client(broker, "bob") as bob:
        ann = await Client(broker, "ann")
        with pytest.raises(AssertionError, match="closed"):
            await ann.subscribe("fault")
        await bob.ping()


class Secret(Exchange):
    """Asks for the word and then for the number."""

    def __init__(self) -> None:
        self.steps = 0

    def step(self, data: bytes | None) -> Step | ReasonCode:
        self.steps += 1
        if self.steps == 1:
            return Step(False, b"the word?")
        if self.steps == 2:
            return Step(False, b"the number?") if data == b"sesame" else ReasonCode.NOT_AUTHORIZED
        return Step(True, b"welcome") if data == b"42" else ReasonCode.NOT_AUTHORIZED


class SlowSecret(Secret):
    """The same after a turn of the loop."""

    async def step(self, data: bytes | None) -> Step | ReasonCode:  # type: ignore[override]
        await asyncio.sleep(0)
        return super().step(data)


class Exchanging(Hooks):
    """Knows one method."""

    def __init__(self, kind: type[Secret]) -> None:
        self.kind = kind

    def exchange(self, method: str, connect: Connect) -> Exchange | None:
        return self.kind() if method == "secret" else None


def auth(data: bytes | None, code: int = ReasonCode.CONTINUE_AUTHENTICATION, method: str = "secret") -> Auth:
    return Auth(code, Properties(authentication_method=method, authentication_data=data))


async def enter(broker: Broker, *words: bytes) -> Client:
    """A client that has said hello, and answered each question with the next word."""
    client = await Client.raw(broker)
    client.send(Connect("bob", properties=Properties(authentication_method="secret")))
    for word in words:
        assert (await client.expect(Auth)).reason_code == ReasonCode.CONTINUE_AUTHENTICATION
        client.send(auth(word))
    return client


@pytest.fixture(params=[Secret, SlowSecret])
async def guarded(request: pytest.FixtureRequest, make_broker: MakeBroker) -> Broker:
    return await make_broker(hooks=Exchanging(request.param))


async def test_an_exchange_ends_in_connack(guarded: Broker) -> None:
    bob = await enter(guarded, b"sesame", b"42")
    connack = await bob.expect(Connack)
    assert connack.reason_code == 0
    assert connack.properties.authentication_method == "secret"
    assert connack.properties.authentication_data == b"welcome"
    assert list(guarded.sessions) == ["bob"]
    bob.abort()


@pytest.mark.parametrize("words", [(b"wrong",), (b"sesame", b"41")])
async def test_who_fails_at_any_step_stays_outside(guarded: Broker, words: tuple[bytes, ...]) -> None:
    bob = await enter(guarded, *words)
    assert (await bob.expect(Connack)).reason_code == ReasonCode.NOT_AUTHORIZED
    await bob.closed()
    assert not guarded.sessions


async def test_within_an_exchange_nothing_else_is_taken(guarded: Broker) -> None:
    bob = await enter(guarded, b"sesame")
    bob.send(Publish("t", b"x"))
    assert not [packet for packet in await bob.closed() if isinstance(packet, Connack) and packet.reason_code == 0]
    assert not guarded.sessions


async def test_who_is_in_may_authenticate_again_and_goes_on_meanwhile(guarded: Broker) -> None:
    bob = await enter(guarded, b"sesame", b"42")
    await bob.expect(Connack)
    bob.send(auth(None, ReasonCode.REAUTHENTICATE))
    await bob.expect(Auth)
    bob.send(Publish("t", b"x", 1, packet_id=1))
    assert isinstance(await bob.receive(), Puback)
    for word in (b"sesame", b"42"):
        bob.send(auth(word))
        answer = await bob.expect(Auth)
    assert (answer.reason_code, answer.properties.authentication_data) == (ReasonCode.SUCCESS, b"welcome")
    bob.abort()


async def test_who_fails_to_do_so_is_put_out(guarded: Broker) -> None:
    bob = await enter(guarded, b"sesame", b"42")
    await bob.expect(Connack)
    bob.send(auth(None, ReasonCode.REAUTHENTICATE))
    await bob.expect(Auth)
    bob.send(auth(b"wrong"))
    assert (await bob.expect(Disconnect)).reason_code == ReasonCode.NOT_AUTHORIZED
    await bob.closed()


@pytest.mark.parametrize(
    "packet", [auth(b"x"), auth(None, ReasonCode.REAUTHENTICATE, "other")], ids=["out of turn", "another method"]
)
async def test_auth_that_does_not_fit_is_a_protocol_error(guarded: Broker, packet: Auth) -> None:
    bob = await enter(guarded, b"sesame", b"42")
    await bob.expect(Connack)
    bob.send(packet)
    assert (await bob.expect(Disconnect)).reason_code == ReasonCode.PROTOCOL_ERROR
    await bob.closed()


async def test_a_method_that_nobody_knows_is_refused(guarded: Broker) -> None:
    bob = await Client(guarded, "bob", properties=Properties(authentication_method="other"))
    assert bob.connack.reason_code == ReasonCode.BAD_AUTHENTICATION_METHOD
    await bob.closed()


async def test_what_the_base_classes_decide_is_yes_and_no_exchange() -> None:
    hooks: Any = Hooks()
    assert hooks.admit(Connect("bob"), Peer()) == ReasonCode.SUCCESS
    assert hooks.exchange("x", Connect("bob")) is None
    assert Exchange().step(None) == ReasonCode.NOT_AUTHORIZED


class Banner(Hooks):
    """Refuses with a code that only CONNACK and DISCONNECT can carry."""

    def publishing(self, session: Session, message: Message) -> Message | ReasonCode:
        return ReasonCode.BANNED

    def subscribing(self, session: Session, name: str, options: SubscriptionOptions) -> int | ReasonCode:
        return ReasonCode.BANNED


async def test_a_code_that_the_answer_cannot_carry_becomes_not_authorized(make_broker: MakeBroker) -> None:
    broker = await make_broker(hooks=Banner())
    async with Client(broker, "ann") as ann:
        assert (await ann.subscribe("t")).reason_codes == [ReasonCode.NOT_AUTHORIZED]
        ann.send(Publish("t", b"x", 1, packet_id=1))
        assert (await ann.expect(Puback)).reason_code == ReasonCode.NOT_AUTHORIZED
        await ann.ping()
