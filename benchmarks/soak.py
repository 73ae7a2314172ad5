#!/usr/bin/env python3
"""Let clients, sessions and messages come and go in rounds: `make soak`, or `python benchmarks/soak.py --help`.

One `linnet serve` goes through all rounds. After each load nothing of it is left that ought to be kept: the descriptors
have to be those of the beginning, or the program waits until it gives up, and after the last round the process may not
have more memory than after the second, but for `--allowance`. The first round is for warming up.
"""

import argparse
import contextlib
import os
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from client import PUBACK, PUBLISH, Client, connections_to, first_packet, packet, publish, text
from compare import BrokerProcess
from run import ROOT
from scale import open_files, settings

PATIENCE = 120.0  # seconds until everything of a load has to be gone
LOOK = 0.02  # seconds between two looks
AT_ONCE = 500  # connections
QUEUED = 5  # messages that wait for each session
SLOW_READERS = 20
SIP = 8192  # bytes that a slow reader takes at a time
BURST = 50  # messages of each QoS that the publisher sends before it waits for acknowledgements
SETTINGS: dict[str, int | str] = {
    "log_level": "error",
    "accept_rate": 0,
    "max_preconnect_per_address": 0,
}
NO_SUBSCRIBERS = b"\x10"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends a reset


@dataclass(slots=True)
class Soak:
    """The broker, how much is asked of it, and what it took."""

    broker: BrokerProcess
    connects: int
    sessions: int
    messages: int
    descriptors: int = 0
    taken: list[int] = field(default_factory=list)  # KiB, after each round

    @property
    def port(self) -> int:
        return self.broker.port

    def open_now(self) -> int:
        """How many descriptors the process has."""
        return len(os.listdir(f"/proc/{self.broker.process.pid}/fd"))


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"soak: {what} in {PATIENCE:.0f} s")
        time.sleep(LOOK)


def cut(client: Client) -> None:
    """End a connection without a word."""
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.sock.close()


def come_and_go(soak: Soak) -> None:
    """Clients that connect, subscribe, get a message and leave, one after the other; every other one is cut off."""
    for number in range(soak.connects):
        client = Client(soak.port, f"guest-{number}")
        client.subscribe([b"guests/%d" % number])
        client.send(publish(b"guests/%d" % number, b"welcome"))
        client.expect(PUBLISH)
        if number % 2:
            cut(client)
        else:
            client.disconnect()


def is_kept(soak: Soak, name: str) -> bool:
    """Whether the broker has a session for a client; asking does not prolong its life, as connecting would."""
    with Client(soak.port, "asking", level=5) as client:
        client.send(packet(PUBLISH | 2, text(f"offline/{name}".encode()) + b"\x00\x01" + b"\x00"))
        return client.expect(PUBACK).body[2:3] != NO_SUBSCRIBERS


def keep_sessions(soak: Soak) -> None:
    """Sessions with a subscription, a will and a queue; half of them are ended by their clients, half expire."""
    with Client(soak.port, "source") as source:
        for start in range(0, soak.sessions, AT_ONCE):
            names = [f"kept-{number}" for number in range(start, min(start + AT_ONCE, soak.sessions))]
            clients = [
                Client(soak.port, name, clean=False, will=(b"wills/" + name.encode(), b"gone")) for name in names
            ]
            for name, client in zip(names, clients, strict=True):
                client.subscribe([f"offline/{name}".encode(), f"offline/+/{name}".encode()], qos=1)
                cut(client)
            for name in names:
                for _ in range(QUEUED):
                    source.send(publish(f"offline/{name}".encode(), b"x" * 200, qos=1))
                    source.expect(PUBACK)
            for name in names[::2]:
                Client(soak.port, name, clean=True).disconnect()
    wait_until(lambda: not is_kept(soak, f"kept-{soak.sessions - 1}"), "the last session did not expire")


def sip(reader: Client) -> None:
    """Take a little of what there is, and acknowledge it."""
    data = reader.unread + reader.sock.recv(SIP)
    answers = b""
    while (found := first_packet(data)) is not None:
        received, end = found
        data = data[end:]
        if received.header & 0x06:
            start = 2 + int.from_bytes(received.body[:2], "big")
            answers += packet(PUBACK, received.body[start : start + 2])
    reader.unread = data
    reader.send(answers)


def read_slowly(port: int, are_ready: threading.Event, is_over: threading.Event) -> None:
    """Be the slow readers: each in turn takes a sip, and then all rest."""
    with selectors.DefaultSelector() as selector:
        for number in range(SLOW_READERS):
            reader = Client(port, f"slow-{number}")
            reader.subscribe([b"flood"], qos=number % 2)
            selector.register(reader.sock, selectors.EVENT_READ, reader)
        are_ready.set()
        while not is_over.wait(LOOK / 4):
            for key, _ in selector.select(0):
                try:
                    sip(key.data)
                except ConnectionError:  # it was given up
                    selector.unregister(key.fileobj)
                    key.data.sock.close()
        for key in list(selector.get_map().values()):
            cut(key.data)


def flood(soak: Soak) -> None:
    """Messages to slow readers, half of them QoS 1 to those who subscribed with it."""
    are_ready, is_over = threading.Event(), threading.Event()
    readers = threading.Thread(target=read_slowly, args=(soak.port, are_ready, is_over))
    readers.start()
    burst = publish(b"flood", b"x" * 100) * BURST
    burst += b"".join(publish(b"flood", b"x" * 100, 1, packet_id=number + 1) for number in range(BURST))
    try:
        are_ready.wait(PATIENCE)
        with Client(soak.port, "flood") as publisher:
            for _ in range(soak.messages // SLOW_READERS // (2 * BURST)):
                publisher.send(burst)
                for _ in range(BURST):
                    publisher.expect(PUBACK)
            publisher.disconnect()
    finally:
        is_over.set()
        readers.join()


LOADS: dict[str, Callable[[Soak], None]] = {
    "connects and disconnects": come_and_go,
    "sessions that come and go": keep_sessions,
    "messages to slow readers": flood,
}


@contextlib.contextmanager
def soaking(options: argparse.Namespace) -> Iterator[Soak]:
    """A fresh broker; what it has open before anybody connects is what it is to have open in the end."""
    python = str(Path(options.bin) / "python")
    words = [python, "-m", "linnet", "serve", "--listen", "127.0.0.1:{port}"]
    wanted = SETTINGS | {"max_session_expiry": options.expiry}
    broker = BrokerProcess("linnet", {"cmd": words + settings(python, wanted)})
    try:
        soak = Soak(broker, options.connects, options.sessions // 2 * 2, options.messages)
        wait_until(lambda: connections_to(soak.port) == 0, "the first connection did not go")
        soak.descriptors = soak.open_now()
        yield soak
    finally:
        broker.stop()


def run_round(soak: Soak, number: int) -> None:
    """All loads, one after the other; a line for each."""
    for name, load in LOADS.items():
        began = time.perf_counter()
        load(soak)
        wait_until(lambda: soak.open_now() <= soak.descriptors, f"not back to {soak.descriptors} descriptors")
        took = time.perf_counter() - began
        print(
            f"{number:>5}  {name:<28}{took:>8.1f} s{soak.open_now():>6} files{soak.broker.rss():>10,} KiB", flush=True
        )
    soak.taken.append(soak.broker.rss())


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Let clients, sessions and messages come and go, and see what is left."
    )
    parser.add_argument("--rounds", type=int, default=3, help="of which the first is not judged (3)")
    parser.add_argument("--connects", type=int, default=20_000, help="connects and disconnects in a round (20000)")
    parser.add_argument("--sessions", type=int, default=10_000, help="sessions with a queue in a round (10000)")
    parser.add_argument("--messages", type=int, default=1_000_000, help="messages to slow readers in a round (1000000)")
    parser.add_argument("--expiry", type=int, default=5, help="seconds that a session lives without its client (5)")
    parser.add_argument(
        "--allowance", type=int, default=4096, help="KiB that it may grow after the second round (4096)"
    )
    parser.add_argument(
        "--bin", default=str(ROOT / ".venv" / "bin"), help="where python and its linnet are (.venv/bin)"
    )
    return parser.parse_args()


def main() -> int:
    options = parse()
    open_files(2 * AT_ONCE)
    with soaking(options) as soak:
        print(f"       before{'':<31}{soak.open_now():>6} files{soak.broker.rss():>10,} KiB", flush=True)
        for number in range(1, options.rounds + 1):
            run_round(soak, number)
        grew = soak.taken[-1] - soak.taken[min(1, options.rounds - 1)]
    is_back = grew <= options.allowance
    verdict = "back where it was" if is_back else "NOT BACK where it was"
    print(f"{verdict}: {grew:+,} KiB between the second round and the last, {options.allowance:,} allowed")
    return int(not is_back)


if __name__ == "__main__":
    sys.exit(main())
