"""`linnet pub`: publish, as mosquitto_pub does, and tell what became of it."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from linnet.cli import exit_codes, sources
from linnet.cli.asked import Asked, UsageError
from linnet.cli.checks import topic_name
from linnet.cli.client_options import CLIENT, TIMEOUT, qos_option
from linnet.cli.connecting import connected
from linnet.cli.grammar import Option, Verb, Words, flag, number
from linnet.cli.json_lines import LineError, Outgoing, from_line
from linnet.cli.running import run
from linnet.cli.teller import Teller
from linnet.cli.url_words import take_word
from linnet.errors import reason_name
from linnet.wire.properties import Properties

if TYPE_CHECKING:
    from linnet.client.client import Client
    from linnet.client.publication import Publication

SUMMARY = "Publish messages. The exit code tells whether the broker has taken them."
MOST_WAITING = 1000  # messages that are handed over before the oldest of them is waited for
MOST_BYTES = 1 << 26  # of their payloads
UNLIMITED = 1 << 60
LARGE = 1 << 20  # bytes; a payload above it takes long enough to show how far it has come
TICK = 0.2  # seconds between two looks at it
NO_SOURCE = "a message is needed: -m TEXT, -f FILE, -s, -l, -n or --json"


def _delay(asked: Asked, words: Words) -> None:
    asked.repeat_delay = words.seconds(0.0)


VERB = Verb(
    "pub",
    SUMMARY,
    "[URL] [options] -t TOPIC {-m TEXT | -f FILE | -s | -l | -n | --json}",
    (
        sources.TOPIC,
        *sources.SINGLE,
        *sources.LINES,
        qos_option("qos", "-q", "--qos", what="the Quality of Service (0)"),
        flag("-r", "--retain", to="retain", help="the broker keeps the message for those who subscribe later"),
        number("--repeat", to="repeat", least=1, most=2**31 - 1, metavar="COUNT", help="publish it so many times"),
        Option(("--repeat-delay",), _delay, "SECONDS", "wait so long before each repetition (0)"),
        TIMEOUT,
        *CLIENT,
    ),
    take_word,
)


def main(words: Sequence[str]) -> int:
    """Run the verb."""
    return run(VERB, check, work, words)


def check(asked: Asked) -> None:
    """Refuse what makes no sense; raises UsageError."""
    if not asked.source:
        raise UsageError(NO_SOURCE)
    if asked.topic:
        topic_name("the topic", asked.topic)
    elif asked.source != "json":
        raise UsageError("a topic to publish to is needed: -t TOPIC, or a URL with one")
    if asked.repeat > 1 and asked.source in ("lines", "json"):
        raise UsageError("--repeat is for a single message")


async def work(asked: Asked, teller: Teller) -> int:
    """Publish all there is, and wait until the broker has it."""
    from linnet.client.options import Offline, Reconnect

    ours = Offline(max_messages=UNLIMITED, max_bytes=UNLIMITED)  # what waits is bounded here
    if asked.source in ("lines", "json"):
        async with connected(asked, teller, Reconnect(ceiling=10.0), offline=ours) as client:
            return await Outbound(client, teller).lines(asked)
    message = Outgoing(asked.topic, sources.payload_of(asked), asked.qos, asked.retain, properties_of(asked))
    async with connected(asked, teller, offline=ours) as client:
        return await Outbound(client, teller).repeated(message, asked)


def properties_of(asked: Asked) -> Properties:
    """What -D publish says. Aliases are the library's own affair: it makes them where the broker wants them."""
    return replace(asked.properties["publish"], topic_alias=None)


class Outbound:
    """Messages on their way, and what became of them."""

    __slots__ = ("client", "code", "pending", "refused", "size", "teller")

    def __init__(self, client: Client, teller: Teller) -> None:
        self.client = client
        self.teller = teller
        self.pending: deque[tuple[Publication, int]] = deque()  # each with what it adds to the progress
        self.size = 0  # bytes of their payloads
        self.refused = 0  # messages
        self.code = exit_codes.FINE  # of the first message that was refused

    def __repr__(self) -> str:
        return f"<Outbound, {len(self.pending)} on their way>"

    async def repeated(self, message: Outgoing, asked: Asked) -> int:
        """Publish a single message, once or several times."""
        if asked.repeat > 1:
            self.teller.begin(asked.repeat, "messages")
        for turn in range(asked.repeat):
            if turn and asked.repeat_delay:
                await self.finish()
                await asyncio.sleep(asked.repeat_delay)
            await self.send(message, 1)
        if asked.repeat == 1 and len(message.payload) > LARGE:
            await self.watched(len(message.payload))
        return await self.finish()

    async def lines(self, asked: Asked) -> int:
        """Publish each line of standard input."""
        size = sources.input_size()
        self.teller.begin(size, "B" if size else "messages")
        properties = properties_of(asked)
        number = 0
        async for lines in sources.lines_of(sys.stdin.buffer):
            for line in lines:
                number += 1
                if asked.source == "lines":
                    message = Outgoing(asked.topic, line, asked.qos, asked.retain, properties)
                elif not line.strip():
                    continue
                else:
                    message = self.read(line, number, asked)
                await self.send(message, len(line) + 1 if size else 1)
        return await self.finish()

    def read(self, line: bytes, number: int, asked: Asked) -> Outgoing:
        """A line of --json; what it leaves out is as the options say."""
        try:
            return from_line(line, asked.topic, asked.qos, asked.retain)
        except LineError as error:
            raise LineError(f"line {number}: {error}") from None

    async def send(self, message: Outgoing, weight: int) -> None:
        """Hand a message over; wait if too many are on their way."""
        publication = self.client.send(
            message.topic, message.payload, qos=message.qos, retain=message.retain, properties=message.properties
        )
        self.pending.append((publication, weight))
        self.size += len(message.payload)
        while len(self.pending) >= MOST_WAITING or self.size > MOST_BYTES or self.pending[0][0].done:
            await self.settle()
            if not self.pending:
                break

    async def settle(self) -> None:
        """Wait for the oldest message. A refusal is told, and does not stop the others."""
        from linnet.client.errors import PublishRejected

        publication, weight = self.pending.popleft()
        self.size -= publication.message.size()
        try:
            answer = await publication
            sent = publication.message
            self.teller.debug(
                f"published {sent.size()} bytes to {sent.topic} with QoS {sent.qos}: {reason_name(answer)}"
            )
        except PublishRejected as error:
            self.teller.error(error)
            self.refused += 1
            self.code = self.code or exit_codes.of_error(error, None)
        self.teller.advance(weight)

    async def finish(self) -> int:
        """Wait for all of them: the exit code."""
        while self.pending:
            await self.settle()
        return self.code

    async def watched(self, size: int) -> None:
        """Show how far one large message has come."""
        if not self.teller.watched:
            return
        self.teller.begin(size, "B")
        publication, _ = self.pending[0]
        self.pending[0] = (publication, 0)
        shown = 0
        while not publication.done:
            await asyncio.sleep(TICK)
            written = size - self.unwritten()
            self.teller.advance(max(0, written - shown))
            shown = max(shown, written)

    def unwritten(self) -> int:
        """Bytes that the system has not taken yet."""
        line = self.client.publisher.line
        return line.transport.get_write_buffer_size() if line is not None else 0
