"""Reading the fields of a packet one after the other, never past its end."""

from __future__ import annotations

from linnet.errors import MalformedPacket
from linnet.wire.strings import decode_utf8
from linnet.wire.varint import decode_varint


class Reader:
    """A place in some bytes, and their end. What does not fit before the end is a `MalformedPacket`."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def __repr__(self) -> str:
        return f"<Reader at {self.at} of {self.end}>"

    def _step(self, length: int) -> int:
        """Go on by `length` bytes and say where they began."""
        start = self.at
        if length > self.end - start:
            raise MalformedPacket(f"the packet ends {length - (self.end - start)} bytes too early")
        self.at = start + length
        return start

    def byte(self) -> int:
        """A number of one byte."""
        return self.data[self._step(1)]

    def u16(self) -> int:
        """A number of two bytes."""
        start = self._step(2)
        return self.data[start] << 8 | self.data[start + 1]

    def u32(self) -> int:
        """A number of four bytes."""
        start = self._step(4)
        return int.from_bytes(self.data[start : start + 4], "big")

    def varint(self) -> int:
        """A variable byte integer."""
        value, following = decode_varint(self.data, self.at)
        self._step(following - self.at)
        return value

    def packet_id(self) -> int:
        """A packet identifier, which is never 0 [3.1.1: MQTT-2.3.1-1] [5.0: MQTT-2.2.1-3]."""
        packet_id = self.u16()
        if packet_id == 0:
            raise MalformedPacket("the packet identifier is 0", "MQTT-2.2.1-3")
        return packet_id

    def binary(self) -> bytes:
        """Bytes with their length in front."""
        length = self.u16()
        start = self._step(length)
        return self.data[start : start + length]

    def string(self) -> str:
        """Text: UTF-8 with its length in front."""
        return decode_utf8(self.binary())

    def rest(self) -> bytes:
        """Everything up to the end."""
        start = self.at
        self.at = self.end
        return self.data[start : self.end]

    def left(self) -> int:
        """How many bytes are left."""
        return self.end - self.at

    def enclose(self, length: int) -> int:
        """End after the next `length` bytes for now; returns the end to be put back into `end` later."""
        outer = self.end
        start = self._step(length)
        self.end = self.at
        self.at = start
        return outer

    def finish(self) -> None:
        """All fields are read: nothing may be left."""
        if self.at != self.end:
            raise MalformedPacket(f"{self.left()} bytes follow the last field of the packet")
