"""A malformed packet ends its connection with the right code, and one line of the log says what was wrong with it."""

import asyncio
import re
import socket
from itertools import cycle, islice

import pytest

from linnet.errors import ReasonCode
from linnet.wire import (
    V3_1_1,
    V5,
    Auth,
    Connect,
    Disconnect,
    FrameReader,
    Pingreq,
    Properties,
    Publish,
    Version,
    decode,
)
from linnet.wire.header import PacketType
from tests.limits.proof import Proof, eventually, proving
from tests.packets import MALFORMED, Case, octets
from tests.peer import Peer, whole_packet

both = pytest.mark.parametrize("version", [V3_1_1, V5], ids=["3.1.1", "5.0"])
MANY = 2_000
SHOWN = 64  # bytes at most
FROM_SERVERS = (
    PacketType.CONNACK,
    PacketType.SUBACK,
    PacketType.UNSUBACK,
    PacketType.PINGRESP,
)


def is_whole(data: bytes) -> bool:
    """Whether these bytes are one packet, or are wrong in their very header; not the half of one, or more."""
    try:
        return whole_packet(rest := bytearray(data)) is not None and not rest
    except AssertionError:
        return True


CASES = [
    case
    for case in MALFORMED
    if case.from_client is not False and is_whole(case.data) and case.data[0] >> 4 != PacketType.CONNECT
]


def allowed_codes(case: Case) -> set[int]:
    """Whatever else is wrong with it, a client does not send what servers send."""
    assert case.reason is not None
    return {case.reason, ReasonCode.PROTOCOL_ERROR} if case.data[0] >> 4 in FROM_SERVERS else {case.reason}


def sent_by_broker(port: int, packets: bytes) -> tuple[str, bytes]:
    """What the broker says to who connects, says this and waits for the end; and the client's address."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(packets)
        answer = b""
        try:
            while got := sock.recv(65_536):
                answer += got
        except ConnectionResetError:
            pass
        host, name = sock.getsockname()
        return f"{host}:{name}", answer


def reasons(answer: bytes, version: Version) -> list[int]:
    """The reason codes of the DISCONNECTs, which come after the CONNACK."""
    frames = FrameReader(1 << 20)
    frames.feed(answer)
    found = []
    while frames.next():
        packet = decode(frames.data[frames.start : frames.stop], version, from_client=False)
        found += [packet.reason_code] if isinstance(packet, Disconnect) else []
    return found


async def test_two_thousand_malformed_packets(caplog: pytest.LogCaptureFixture) -> None:
    """Each names the clause, and shows the bytes."""
    assert len(CASES) > 500
    async with proving(caplog) as proof:
        for case in islice(cycle(CASES), MANY):
            packets = Connect("eve", version=case.version).encode(case.version) + case.data
            address, answer = await asyncio.to_thread(sent_by_broker, proof.broker.port, packets)
            said = reasons(answer, case.version)
            assert len(said) == (case.version is V5) and set(said) <= allowed_codes(case), f"{case}: {said}"
            one_line(proof, case, address)
        await eventually(lambda: len(proof.broker.connections) == 1, "all connections to be forgotten")
        assert proof.broker.statistics.sessions == 1


def one_line(proof: Proof, case: Case, address: str) -> None:
    """The one line about this client, which names a clause and shows what it sent, but no password."""
    (line,) = proof.failures()
    assert line.address == address
    assert re.search(r"\[MQTT-[\d.]+-\d+\]", line.detail), f"{case}: {line.detail}"
    shown = bytes.fromhex(line.packet)
    assert case.data.startswith(shown), f"{case}: {line.packet} of {case.data.hex(' ')}"
    is_secret = case.data[0] >> 4 == PacketType.AUTH
    is_header = "Remaining Length" in line.detail
    assert len(shown) == (1 if is_secret else len(shown) if is_header else min(len(case.data), SHOWN))
    assert len(shown) > 0
    proof.caplog.clear()


@pytest.mark.parametrize(
    "packet",
    [Connect("eve", user_name="eve", password=b"secret"), Auth(0x18, Properties(authentication_method="secret"))],
    ids=["CONNECT", "AUTH"],
)
async def test_what_may_hold_a_secret_is_not_shown(caplog: pytest.LogCaptureFixture, packet: Connect | Auth) -> None:
    """A second CONNECT, or an AUTH that nobody asked for."""
    octets = packet.encode(V5)
    async with proving(caplog) as proof, Peer(proof.broker, "eve") as eve:
        eve.send(octets)
        assert (await eve.expect(Disconnect)).reason_code == ReasonCode.PROTOCOL_ERROR
        await eve.closed()
        (line,) = proof.failures()
        assert "MQTT-3.1.0-2" in line.detail or "MQTT-4.12.0-6" in line.detail
        assert line.packet in ("a CONNECT", octets[:1].hex())
        assert "secret" not in caplog.text
        assert b"secret".hex(" ") not in caplog.text


@both
@pytest.mark.parametrize("first", [Pingreq(), Publish("t", b"x")], ids=["PINGREQ", "PUBLISH"])
async def test_something_else_than_connect(
    caplog: pytest.LogCaptureFixture, version: Version, first: Pingreq | Publish
) -> None:
    """Nothing is said to who may not speak MQTT at all."""
    async with proving(caplog) as proof, Peer.raw(proof.broker, version) as eve:
        eve.send(first.encode(version))
        assert await eve.closed() == []
        (line,) = proof.failures()
        assert "MQTT-3.1.0-1" in line.detail
        assert line.packet == first.encode(version)[:1].hex()


async def test_malformed_connects(caplog: pytest.LogCaptureFixture) -> None:
    """Each is refused where its version is known, and shows nothing, for there may be a password in it."""
    cases = [case for case in MALFORMED if case.data[:1] == b"\x10" and is_whole(case.data)]
    assert len(cases) > 100
    async with proving(caplog) as proof:
        for case in cases:
            address, answer = await asyncio.to_thread(sent_by_broker, proof.broker.port, case.data)
            assert answer[:1] in (b"", b"\x20"), str(case)
            (line,) = proof.lines("connections", event="refused")
            assert line.address == address
            assert proof.failures() == [], str(case)
            proof.caplog.clear()


async def test_a_header_that_is_wrong_is_shown_and_not_the_packet_before(caplog: pytest.LogCaptureFixture) -> None:
    async with proving(caplog) as proof, Peer(proof.broker, "eve") as eve:
        eve.send(Publish("t", b"secret").encode(V5) + octets("30 FF FF FF FF 01") + Publish("t", b"secret").encode(V5))
        assert (await eve.expect(Disconnect)).reason_code == ReasonCode.MALFORMED_PACKET
        (line,) = proof.failures()
        assert line.packet == "30 ff ff ff ff"
