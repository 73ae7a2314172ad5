"""A small blocking client of MQTT for measurements: packets made ahead, and nothing between them and the socket.

`client.py PORT PID` is the client beside: it sends one PINGREQ after the other until its standard input is closed, and
prints as JSON how long an answer took at most, and how much CPU time the broker, whose process PID is, spent meanwhile
at most; both in milliseconds.
"""

import json
import select
import socket
import sys
from pathlib import Path
from time import clock_gettime, perf_counter
from typing import NamedTuple, Self

PATIENCE = 120.0  # seconds that an answer may take before the measurement is given up
PAUSE = 0.001  # seconds between an answer and the next PINGREQ

CONNACK, PUBLISH, PUBACK, SUBACK, PINGRESP = 0x20, 0x30, 0x40, 0x90, 0xD0
PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"
LISTENING, NO_PROCESS = "0A", "0"  # in /proc/net/tcp


class Packet(NamedTuple):
    """The first byte, and what follows the Remaining Length."""

    header: int
    body: bytes


def text(octets: bytes) -> bytes:
    """With its length in front."""
    return len(octets).to_bytes(2, "big") + octets


def packet(header: int, body: bytes) -> bytes:
    """A whole packet."""
    length, left = b"", len(body)
    while left > 127:
        length += bytes((left & 127 | 128,))
        left >>= 7
    return bytes((header,)) + length + bytes((left,)) + body


def connect(client_id: bytes, clean: bool = True, will: tuple[bytes, bytes] | None = None, level: int = 4) -> bytes:
    """CONNECT without keep alive; a will has a topic and a payload. Level 5 is MQTT 5.0, without properties."""
    flags = (2 if clean else 0) | (4 if will else 0)
    none = b"\x00" if level == 5 else b""
    payload = text(client_id) + (none + text(will[0]) + text(will[1]) if will else b"")
    return packet(0x10, b"\x00\x04MQTT" + bytes((level, flags)) + b"\x00\x00" + none + payload)


def subscribe(filters: list[bytes], qos: int = 0) -> bytes:
    """SUBSCRIBE, always with the packet identifier 1."""
    return packet(0x82, b"\x00\x01" + b"".join(text(name) + bytes((qos,)) for name in filters))


def publish(topic: bytes, payload: bytes, qos: int = 0, retain: bool = False, packet_id: int = 1) -> bytes:
    """PUBLISH of MQTT 3.1.1; the packet identifier goes with QoS 1."""
    number = packet_id.to_bytes(2, "big") if qos else b""
    return packet(PUBLISH | qos << 1 | retain, text(topic) + number + payload)


class Client:
    """A connected client. Whatever does not come within `PATIENCE` raises TimeoutError, a close ConnectionError."""

    def __init__(
        self, port: int, client_id: str, clean: bool = True, will: tuple[bytes, bytes] | None = None, level: int = 4
    ) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.unread = b""
        self.sock.sendall(connect(client_id.encode(), clean, will, level))
        if self.expect(CONNACK).body[1] != 0:
            raise ConnectionError(f"{client_id} is refused")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.sock.close()

    def send(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def more(self) -> bytes:
        """Everything that came and was not taken, at least a byte."""
        data = self.unread or self.sock.recv(1 << 20)
        if not data:
            raise ConnectionError("the broker closed the connection")
        self.unread = b""
        return data

    def receive(self) -> Packet:
        """The next packet."""
        data = self.more()
        while (found := first_packet(data)) is None:
            data += self.more()
        self.unread = data[found[1] :]
        return found[0]

    def expect(self, header: int) -> Packet:
        """The next packet of a kind; messages that come before it are passed over."""
        while (received := self.receive()).header & 0xF0 != header:
            if received.header & 0xF0 != PUBLISH:
                raise ConnectionError(f"awaited {header:#04x}, got {received.header:#04x}")
        return received

    def subscribe(self, filters: list[bytes], qos: int = 0) -> None:
        """Subscribe, and be granted everything."""
        self.send(subscribe(filters, qos))
        codes = self.expect(SUBACK).body[2:]
        if codes != bytes((qos,)) * len(filters):
            raise ConnectionError(f"{len(codes) - codes.count(qos)} of {len(filters)} filters are refused")

    def ping(self) -> float:
        """How many seconds it takes to be answered; also: everything sent before has been dealt with."""
        began = perf_counter()
        self.send(PINGREQ)
        self.expect(PINGRESP)
        return perf_counter() - began

    def disconnect(self) -> None:
        """Say goodbye, and wait until the broker has closed."""
        self.send(DISCONNECT)
        while self.sock.recv(65536):
            pass
        self.sock.close()


def first_packet(data: bytes) -> tuple[Packet, int] | None:
    """The packet that the data begins with and where it ends, or None if it is not whole yet."""
    length = at = 0
    while True:
        at += 1
        if at >= len(data):
            return None
        length |= (data[at] & 127) << 7 * (at - 1)
        if data[at] < 128:
            break
    end = at + 1 + length
    return (Packet(data[0], data[at + 1 : end]), end) if end <= len(data) else None


def connections_to(port: int) -> int:
    """How many connections to a port some process holds, as the system tells."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] != LISTENING and row[9] != NO_PROCESS for row in rows)


def beside(port: int, pid: int) -> None:
    """Be the client beside."""
    waits: list[float] = []
    busy: list[float] = []
    clock = ~pid << 3 | 2  # of the CPU time of a process, made as clock_getcpuclockid does
    with Client(port, "beside") as client:
        print("ready", flush=True)
        while not waits or not select.select([sys.stdin], [], [], PAUSE)[0]:
            before = clock_gettime(clock)
            waits.append(client.ping() * 1000)
            busy.append((clock_gettime(clock) - before) * 1000)
    print(json.dumps({"pings": len(waits), "worst": max(waits), "busy": max(busy)}))


if __name__ == "__main__":
    beside(int(sys.argv[1]), int(sys.argv[2]))
