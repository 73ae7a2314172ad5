"""`linnet clean`: list the retained messages of a topic filter, ask, and clear them."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from linnet.cli import exit_codes, sources
from linnet.cli.asked import Asked, UsageError
from linnet.cli.checks import topic_filter
from linnet.cli.client_options import CLIENT, TIMEOUT
from linnet.cli.connecting import connected
from linnet.cli.get import take_filter
from linnet.cli.grammar import Verb, collected, flag
from linnet.cli.json_lines import Outgoing
from linnet.cli.printing import is_filtered_out
from linnet.cli.pub import Outbound
from linnet.cli.running import run
from linnet.cli.teller import Teller

if TYPE_CHECKING:
    from linnet.client.client import Client
    from linnet.client.message import Message
    from linnet.client.subscription import Subscription

SUMMARY = "List the retained messages of a topic filter, ask, and have the broker forget them."
GRACE = 0.2  # seconds that a broker may take to send another one
UNLIMITED = 1 << 30

VERB = Verb(
    "clean",
    SUMMARY,
    "[URL] [options] FILTER…",
    (
        collected("-t", "--topic", to="filters", check=topic_filter, metavar="FILTER", help="the same as FILTER"),
        collected("-T", "--filter-out", to="filter_outs", check=topic_filter, metavar="FILTER", help="but not these"),
        flag("--yes", to="yes", help="do not ask"),
        flag("--dry-run", to="dry_run", help="list them, and clear nothing"),
        TIMEOUT,
        *CLIENT,
    ),
    take_filter,
)


def main(words: Sequence[str]) -> int:
    """Run the verb."""
    return run(VERB, check, work, words)


def check(asked: Asked) -> None:
    """Refuse what makes no sense; raises UsageError."""
    for name in asked.filters:
        topic_filter("the URL", name)
        if name.startswith("$share/"):
            raise UsageError("a shared subscription gets no retained messages")
    if not asked.filters:
        raise UsageError("a topic filter is needed: linnet clean FILTER, or a URL with one")
    if not (asked.yes or asked.dry_run or (sys.stdin is not None and sys.stdin.isatty())):
        raise UsageError("nobody is there to be asked: --yes clears without a question, --dry-run clears nothing")


async def work(asked: Asked, teller: Teller) -> int:
    """List, ask, clear."""
    async with connected(asked, teller) as client:
        found = await retained(client, asked)
        for message in found:
            print(f"{message.topic} ({message.size()} bytes)", flush=True)
        if not found:
            teller.error(f"there are no retained messages for {', '.join(asked.filters)}")
            return exit_codes.FINE
        if asked.dry_run or not (asked.yes or await agreed(len(found))):
            return exit_codes.FINE
        outbound = Outbound(client, teller)
        teller.begin(len(found), "messages")
        qos = min(1, client.limits.maximum_qos)
        for message in found:
            await outbound.send(Outgoing(message.topic, b"", qos, True), 1)
        code = await outbound.finish()
        teller.note(f"{len(found) - outbound.refused} of {len(found)} cleared")
        return code


async def retained(client: Client, asked: Asked) -> list[Message[bytes]]:
    """All retained messages of the filters, by topic.

    The answer to a second subscription comes after them, since a broker answers in order; and a broker that sends them
    later is given a moment after each.
    """
    found: dict[str, Message[bytes]] = {}
    async with client.subscribe(*asked.filters, limit=UNLIMITED) as subscription:
        await barrier(client)
        while (message := await another(subscription)) is not None:
            if message.retain and message.size() and not is_filtered_out(asked, message):
                found[message.topic] = message
    return [found[topic] for topic in sorted(found)]


async def barrier(client: Client) -> None:
    """Wait for the answer to a subscription that gets nothing."""
    from linnet.client.errors import SubscribeRejected

    try:
        async with client.subscribe(f"linnet/barrier/{secrets.token_hex(8)}"):
            pass
    except SubscribeRejected:
        pass  # that is an answer too


async def another(subscription: Subscription[bytes]) -> Message[bytes] | None:
    """One more message; None if there is none for a moment."""
    if subscription.waiting:
        return await subscription.get()
    try:
        async with asyncio.timeout(GRACE):
            return await subscription.get()
    except TimeoutError:
        return None


async def agreed(count: int) -> bool:
    """Whether the person at the terminal wants it."""
    what = "this retained message" if count == 1 else f"these {count} retained messages"
    print(f"clear {what}? [y/N] ", end="", file=sys.stderr, flush=True)
    async for lines in sources.lines_of(sys.stdin.buffer):
        return lines[0].strip().lower() in (b"y", b"yes")
    return False
