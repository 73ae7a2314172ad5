"""4.12 Enhanced authentication: a conversation of AUTH packets that a hook carries on."""

import pytest

from linnet import Broker
from linnet.core.ports import Exchange, Hooks, Step
from linnet.errors import ReasonCode
from linnet.wire import Auth, Connack, Connect, Disconnect, Pingreq, Properties, Publish, Version
from tests.conformance.tools import EVERY_VERSION, ONLY_5, answers, codes, kinds
from tests.conftest import MakeBroker
from tests.peer import Peer

METHOD = "riddle"
LONG_RIDDLE = b"?" * 200


class Riddle(Exchange):
    """Asks the same question at each login, and takes one answer."""

    def __init__(self, question: bytes) -> None:
        self.question = question
        self.asked = False

    def step(self, data: bytes | None) -> Step | ReasonCode:
        if not self.asked:
            self.asked = True
            return Step(False, self.question)
        self.asked = False
        return Step(True, b"welcome") if data == b"right" else ReasonCode.NOT_AUTHORIZED


class Sphinx(Hooks):
    """Lets in who solves the riddle."""

    def exchange(self, method: str, connect: Connect) -> Exchange | None:
        if method != METHOD:
            return None
        return Riddle(LONG_RIDDLE if connect.client_id == "patient" else b"?")


@pytest.fixture
async def sphinx(make_broker: MakeBroker) -> Broker:
    return await make_broker(hooks=Sphinx())


def hello(client_id: str = "bob", **more: int) -> Connect:
    return Connect(client_id, properties=Properties(authentication_method=METHOD, **more))


def auth(code: int, data: bytes | None = None, method: str = METHOD) -> Auth:
    return Auth(code, Properties(authentication_method=method, authentication_data=data))


async def solved(peer: Peer) -> Connack:
    """Logs in on a raw peer."""
    peer.send(hello())
    await peer.expect(Auth)
    peer.send(auth(0x18, b"right"))
    return await peer.expect(Connack)


@ONLY_5
@pytest.mark.clause(
    "5.0:MQTT-4.12.0-2", "5.0:MQTT-4.12.0-3", "5.0:MQTT-4.12.0-5", "5.0:MQTT-3.15.2-1", "5.0:MQTT-3.2.0-1"
)
async def test_the_server_asks_and_the_client_answers(sphinx: Broker, version: Version) -> None:
    async with Peer.raw(sphinx) as bob:
        bob.send(hello())
        question = await bob.expect(Auth)
        assert question == auth(0x18, b"?")
        bob.send(auth(0x18, b"right"))
        connack = await bob.expect(Connack)
        assert connack.reason_code == 0
        assert connack.properties.authentication_method == METHOD
        assert connack.properties.authentication_data == b"welcome"
        await bob.publish("a", b"let in", qos=1)


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.12.0-4", "5.0:MQTT-3.1.4-2", "5.0:MQTT-3.2.2-7")
async def test_a_wrong_answer_is_refused_and_closed(sphinx: Broker, version: Version) -> None:
    async with Peer.raw(sphinx) as bob:
        bob.send(hello())
        await bob.expect(Auth)
        bob.send(auth(0x18, b"wrong"))
        assert codes(await bob.closed()) == [("Connack", 0x87)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.12.0-1")
async def test_an_unknown_method_is_refused_and_closed(sphinx: Broker, version: Version) -> None:
    login = Connect("bob", properties=Properties(authentication_method="riddle "))
    assert codes(await answers(sphinx, login)) == [("Connack", 0x8C)]


@ONLY_5
@pytest.mark.parametrize(
    "answer",
    [auth(0x19, b"right"), auth(0x18, b"right", "another"), b"\xf0\x00", b"\xf0\x02\x18\x00"],
    ids=["re-authentication", "another method", "success", "no method"],
)
@pytest.mark.clause("5.0:MQTT-4.12.0-3", "5.0:MQTT-4.12.0-5", "5.0:MQTT-3.15.2-1")
async def test_an_answer_of_the_wrong_kind_is_refused(sphinx: Broker, version: Version, answer: Auth | bytes) -> None:
    async with Peer.raw(sphinx) as bob:
        bob.send(hello())
        await bob.expect(Auth)
        bob.send(answer)
        (refusal,) = await bob.closed()
        assert isinstance(refusal, Connack)
        assert refusal.reason_code in (0x81, 0x82, 0x8C)


@ONLY_5
@pytest.mark.parametrize(
    "impatience",
    [Publish("a", b"too early"), Pingreq(), b"\x82\x07\x00\x01\x00\x00\x01a\x00", hello("cat")],
    ids=["PUBLISH", "PINGREQ", "SUBSCRIBE", "CONNECT"],
)
@pytest.mark.clause("5.0:MQTT-3.1.2-30")
async def test_nothing_but_auth_is_taken_before_connack(sphinx: Broker, version: Version, impatience: object) -> None:
    async with Peer(sphinx, "ann") as ann, Peer.raw(sphinx) as bob:
        await ann.subscribe("#")
        bob.send(hello())
        await bob.expect(Auth)
        bob.send(impatience)
        bob.send(auth(0x18, b"right"))
        assert all(code >= 0x80 for _, code in codes(await bob.closed()))
        await ann.nothing()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.2-30")
async def test_a_client_may_give_up_before_connack(sphinx: Broker, version: Version) -> None:
    async with Peer.raw(sphinx) as bob:
        bob.send(hello())
        await bob.expect(Auth)
        bob.send(Disconnect())
        assert await bob.closed() == []


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.4-6", "5.0:MQTT-4.12.0-4")
async def test_auth_after_a_refusal_changes_nothing(sphinx: Broker, version: Version) -> None:
    async with Peer.raw(sphinx) as bob:
        bob.send(hello())
        await bob.expect(Auth)
        bob.send(auth(0x18, b"wrong").encode(version) + auth(0x18, b"right").encode(version))
        assert codes(await bob.closed()) == [("Connack", 0x87)]


@EVERY_VERSION
@pytest.mark.clause("5.0:MQTT-4.12.0-6")
async def test_a_client_without_a_method_is_not_asked(sphinx: Broker, version: Version) -> None:
    async with Peer(sphinx, "bob", version) as bob:
        assert kinds(bob.received) == ["Connack"]
        assert bob.connack.properties.authentication_method is None


@ONLY_5
@pytest.mark.parametrize("code", [0x18, 0x19])
@pytest.mark.clause("5.0:MQTT-4.12.0-7")
async def test_auth_from_a_client_without_a_method_ends_the_connection(
    sphinx: Broker, version: Version, code: int
) -> None:
    async with Peer(sphinx, "bob") as bob:
        bob.send(auth(code, b"right"))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.12.1-1", "5.0:MQTT-4.12.0-5", "5.0:MQTT-3.15.2-1")
async def test_a_client_may_authenticate_again(sphinx: Broker, version: Version) -> None:
    async with Peer.raw(sphinx) as bob:
        await solved(bob)
        await bob.subscribe("a")
        bob.send(auth(0x19))
        assert await bob.expect(Auth) == auth(0x18, b"?")
        await bob.publish("a", b"meanwhile")
        assert (await bob.receive()).payload == b"meanwhile"
        bob.send(auth(0x18, b"right"))
        assert await bob.expect(Auth) == auth(0x00, b"welcome")
        await bob.ping()


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.12.1-1")
async def test_authenticating_again_by_another_method_ends_the_connection(sphinx: Broker, version: Version) -> None:
    async with Peer.raw(sphinx) as bob:
        await solved(bob)
        bob.send(auth(0x19, method="another"))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.12.1-2", "5.0:MQTT-4.13.2-1")
async def test_a_failed_re_authentication_ends_the_connection(sphinx: Broker, version: Version) -> None:
    async with Peer.raw(sphinx) as bob:
        await solved(bob)
        bob.send(auth(0x19))
        await bob.expect(Auth)
        bob.send(auth(0x18, b"wrong"))
        assert codes(await bob.closed()) == [("Disconnect", 0x87)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-4.12.0-3", "5.0:MQTT-3.15.2-1")
async def test_an_answer_nobody_asked_for_ends_the_connection(sphinx: Broker, version: Version) -> None:
    async with Peer.raw(sphinx) as bob:
        await solved(bob)
        bob.send(auth(0x18, b"right"))
        assert codes(await bob.closed()) == [("Disconnect", 0x82)]


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.15.2-2", "5.0:MQTT-3.15.2-3", "5.0:MQTT-3.1.2-24")
async def test_auth_is_never_larger_than_the_client_takes(sphinx: Broker, version: Version) -> None:
    size = len(auth(0x18, LONG_RIDDLE).encode(version))
    async with Peer.raw(sphinx) as fits, Peer.raw(sphinx) as narrow:
        fits.send(hello("patient", maximum_packet_size=size))
        assert await fits.expect(Auth) == auth(0x18, LONG_RIDDLE)
        narrow.send(hello("patient", maximum_packet_size=size - 1))
        assert "Auth" not in kinds(await narrow.closed())


@ONLY_5
@pytest.mark.clause("5.0:MQTT-3.1.4-3", "5.0:MQTT-3.1.4-4")
async def test_an_unfinished_login_takes_nothing_over(sphinx: Broker, version: Version) -> None:
    async with Peer.raw(sphinx) as bob, Peer.raw(sphinx) as thief:
        await solved(bob)
        thief.send(hello())
        await thief.expect(Auth)
        await bob.ping()
        thief.send(auth(0x18, b"wrong"))
        await thief.closed()
        await bob.ping()
