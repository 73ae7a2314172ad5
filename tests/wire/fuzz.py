"""Bends and breaks the packets of the table and hands them to the decoder.

    python -m tests.wire.fuzz --seconds 60 --seed 7

Whatever the bytes are, decoding gives a packet or raises ProtocolError, and a packet that it gives can be
written and read again as the same. The first packet that breaks this is printed with what is needed to see it again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from random import Random

from linnet.errors import ProtocolError
from linnet.wire import VERSIONS, Connect, FrameReader, Packet, Publish, Version, decode
from tests.packets import CASES

SEEDS = sorted({case.data for case in CASES if case.data})
SPECIAL = (0x00, 0x01, 0x02, 0x7F, 0x80, 0x81, 0xC0, 0xED, 0xFF)


class Broken(AssertionError):
    """The decoder did what it must never do."""


def flip(data: bytearray, random: Random) -> None:
    """Turn one bit over."""
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def replace(data: bytearray, random: Random) -> None:
    """Put a byte that means something special in the place of another."""
    data[random.randrange(len(data))] = random.choice(SPECIAL)


def cut(data: bytearray, random: Random) -> None:
    """Drop the end."""
    del data[random.randrange(len(data)) :]


def leave_out(data: bytearray, random: Random) -> None:
    """Drop some bytes in the middle."""
    start = random.randrange(len(data))
    del data[start : start + random.randint(1, 4)]


def repeat(data: bytearray, random: Random) -> None:
    """Say a part twice: properties, filters, strings."""
    start = random.randrange(len(data))
    part = data[start : start + random.randint(1, 12)]
    data[start:start] = part


def splice(data: bytearray, random: Random) -> None:
    """Go on as another packet does."""
    other = random.choice(SEEDS)
    data[random.randrange(len(data)) :] = other[random.randrange(len(other)) :]


def stuff(data: bytearray, random: Random) -> None:
    """Put bytes in between."""
    start = random.randrange(len(data) + 1)
    data[start:start] = random.randbytes(random.randint(1, 6))


def step_a_number(data: bytearray, random: Random) -> None:
    """Make a byte one more or less, which hits lengths of strings and of properties."""
    place = random.randrange(len(data))
    data[place] = (data[place] + random.choice((-1, 1))) % 256


MUTATIONS: tuple[Callable[[bytearray, Random], None], ...] = (
    flip,
    replace,
    cut,
    leave_out,
    repeat,
    splice,
    stuff,
    step_a_number,
)


def with_length(data: bytearray) -> bytes:
    """The packet with the remaining length that it has, so that the decoder looks further than that."""
    if len(data) < 2 or data[1] >= 0x80 or len(data) - 2 >= 128:
        return bytes(data)
    return bytes((data[0], len(data) - 2)) + bytes(data[2:])


def packets(random: Random) -> Iterator[bytes]:
    """Mutants of the packets in the table, without end."""
    while True:
        data = bytearray(random.choice(SEEDS))
        for _ in range(random.randint(1, 4)):
            if data:
                random.choice(MUTATIONS)(data, random)
        yield with_length(data) if random.random() < 0.8 else bytes(data)


def check(data: bytes, version: Version, from_client: bool | None) -> str:
    """Decode one packet; says what came of it, and raises `Broken` when it is not as promised."""
    try:
        packet = decode(data, version, from_client)
    except ProtocolError as error:
        if not 0x80 <= error.reason_code <= 0xFF or not error.detail:
            raise Broken(f"refused without a reason: {error!r}") from error
        return f"refused 0x{error.reason_code:02X}"
    except Exception as error:
        raise Broken(f"{type(error).__name__} instead of a ProtocolError: {error}") from error
    again = reread(packet, version)
    if said(again) != said(packet):
        raise Broken(f"{packet!r} was read again as {again!r}")
    repr(packet)
    return type(packet).__name__


def reread(packet: Packet, version: Version) -> Packet:
    """Write what was read, and read it again."""
    if isinstance(packet, Connect):
        version = packet.version
    try:
        return decode(packet.encode(version), version)
    except Exception as error:
        raise Broken(f"{packet!r} cannot be written and read again: {error!r}") from error


def said(packet: Packet) -> object:
    """What the packet says. Properties of a PUBLISH are kept as they came: their order is not part of it."""
    if not isinstance(packet, Publish):
        return packet
    hop = (packet.qos, packet.retain, packet.dup, packet.packet_id)
    return (packet.topic_name, packet.payload, packet.properties, *hop)


def check_stream(data: bytes, random: Random) -> None:
    """Cut a stream into packets; every whole one lies within the bytes that came."""
    frames = FrameReader(maximum=1000)
    place = 0
    try:
        while place < len(data):
            step = random.randint(1, 8)
            frames.feed(data[place : place + step])
            place += step
            while frames.next():
                inside = 0 <= frames.start < frames.body <= frames.stop <= len(frames.data)
                if not inside or frames.data[frames.start : frames.stop] not in data:
                    raise Broken(f"{frames!r} found a packet that is not in the stream")
    except ProtocolError:
        return
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"{type(error).__name__} instead of a ProtocolError: {error}") from error


def fuzz(seed: int, rounds: int | None = None, seconds: float | None = None) -> Counter[str]:
    """Run for so many rounds or seconds; counts what came out. Raises `Broken` with the packet to blame."""
    random = Random(seed)
    outcomes: Counter[str] = Counter()
    end = None if seconds is None else time.monotonic() + seconds
    versions = list(VERSIONS.values())
    for number, data in zip(count() if rounds is None else range(rounds), packets(random), strict=False):
        if end is not None and number % 256 == 0 and time.monotonic() > end:
            break
        version = random.choice(versions)
        from_client = random.choice((None, None, True, False))
        try:
            outcomes[check(data, version, from_client)] += 1
            check_stream(data, random)
        except Broken as broken:
            broken.add_note(f"seed {seed}, round {number}, MQTT {version.name}, from_client={from_client}")
            broken.add_note(f"bytes.fromhex({data.hex()!r})")
            raise
    return outcomes


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.wire.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="what to start from (default: the time)")
    wish = parser.parse_args(arguments)
    seed = time.time_ns() if wish.seed is None else wish.seed
    outcomes = fuzz(seed, seconds=wish.seconds)
    for outcome, times in outcomes.most_common():
        print(f"{times:10}  {outcome}")
    print(f"{outcomes.total():10}  packets, seed {seed}, nothing broken")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
