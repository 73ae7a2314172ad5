"""Cuts a stream of bytes into control packets.

TCP hands over bytes as they come: many packets at once, or a packet in many pieces. The reader keeps the
piece that is handed to it as it is and walks over it, so whole packets are never copied; only a packet that
is cut in two is put together, once, when its last byte is there. (Adding each piece to what came before
would cost quadratic time for large packets.)
"""

from linnet.errors import MalformedPacket, ProtocolError, ReasonCode

# Pieces smaller than this are gathered in one buffer: a packet that drips in byte by byte costs bytes, not objects.
SMALL_PIECE = 4096


class FrameReader:
    """The packets of one direction of one connection, in the order of arrival.

    After `next()` returned True, the packet is `data[start:stop]`, its fixed header's first byte is `header`
    and what follows the Remaining Length begins at `body`. When it raised, `data[start:stop]` is the
    header that was wrong.
    """

    __slots__ = (
        "after",
        "after_at",
        "body",
        "data",
        "header",
        "maximum",
        "missing",
        "pieces",
        "position",
        "start",
        "stop",
    )

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum  # bytes, of a whole packet; checked on its header, before anything is kept
        self.data = b""
        self.position = 0
        self.header = 0
        self.start = 0
        self.body = 0
        self.stop = 0
        self.after = b""  # a read that ended one packet, put together in `data`, and began others...
        self.after_at = 0  # ... from here on
        self.pieces: list[
            bytes | bytearray | memoryview
        ] = []  # of a packet whose length is known but whose end is not here
        self.missing = 0

    def __repr__(self) -> str:
        return f"<FrameReader {len(self.data) - self.position} bytes unread, {self.missing} missing>"

    def feed(self, data: bytes) -> None:
        """Hand over what was read. Every packet handed over before must have been taken by `next`."""
        if self.missing > 0:
            if len(data) < self.missing:
                self.missing -= len(data)
                self.gather(data)
                return
            if len(data) > self.missing:
                self.after = data
                self.after_at = self.missing
            self.pieces.append(memoryview(data)[: self.missing])
            data = b"".join(self.pieces)
            self.pieces = []
            self.missing = 0
        elif self.position < len(self.data):
            data = self.data[self.position :] + data
        self.data = data
        self.position = 0

    def gather(self, data: bytes) -> None:
        """Keep a piece of a packet that is not whole yet."""
        last = self.pieces[-1]
        if len(data) >= SMALL_PIECE:
            self.pieces.append(data)
        elif isinstance(last, bytearray):
            last += data
        else:
            self.pieces.append(bytearray(data))

    def next(self) -> bool:
        """Step to the next whole packet; False when there is none yet.

        Raises MalformedPacket for a Remaining Length of more than four bytes or longer than needed
        [MQTT-1.5.5-1], ProtocolError 0x95 for a packet above the maximum [MQTT-3.2.2-15].
        """
        octets = self.data
        left = len(self.data) - self.position
        start = self.position
        if left < 2:
            if left == 0:  # let go of what was read: an idle connection keeps nothing
                self.data = self.after
                self.position = self.after_at
                self.after = b""
                self.after_at = 0
                return len(self.data) > 0 and self.next()
            return False
        self.header = octets[start]
        self.start = start
        at = start + 2
        remaining = octets[start + 1]
        if remaining & 0x80:
            at = self.long_length()
            if at == 0:
                return False
            remaining = self.stop
        if at - start + remaining > self.maximum:
            self.stop = at
            detail = f"packet of {at - start + remaining} bytes, {self.maximum} allowed"
            raise ProtocolError(ReasonCode.PACKET_TOO_LARGE, detail, limit="max_packet_size")
        if at - start + remaining > left:
            self.missing = at - start + remaining - left
            self.pieces = [self.data[start:] if left < SMALL_PIECE else memoryview(self.data)[start:]]
            self.data = b""
            self.position = 0
            return False
        self.body = at
        self.stop = self.position = at + remaining
        return True

    def long_length(self) -> int:
        """Read a Remaining Length of two to four bytes into `stop`; where it ends, or 0 if it is cut off."""
        at = self.position + 1
        end = len(self.data)
        value = 0
        for index in range(4):
            if at == end:
                return 0
            octet = self.data[at]
            value |= (octet & 0x7F) << (7 * index)
            at += 1
            if not octet & 0x80:
                if octet == 0:
                    self.stop = at
                    raise MalformedPacket("Remaining Length in more bytes than needed", "MQTT-1.5.5-1")
                self.stop = value
                return at
        self.stop = at
        raise MalformedPacket("Remaining Length of more than four bytes", "MQTT-1.5.5-1")

    def rest(self) -> int:
        """How many bytes wait for the end of their packet."""
        waiting = len(self.data) - self.position + len(self.after) - self.after_at
        return waiting + sum(len(piece) for piece in self.pieces)
