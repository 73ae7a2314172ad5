"""`linnet get`: print the value of a topic, the retained one or the next, and exit."""

from __future__ import annotations

from collections.abc import Sequence

from linnet.cli import exit_codes
from linnet.cli.asked import Asked, UsageError
from linnet.cli.checks import topic_filter
from linnet.cli.client_options import CLIENT, TIMEOUT, qos_option
from linnet.cli.connecting import connected
from linnet.cli.grammar import Verb, Words, collected
from linnet.cli.printing import PRINTING, Printer, subscribing
from linnet.cli.running import run
from linnet.cli.teller import Teller
from linnet.cli.url_words import is_url, take_address

SUMMARY = "Print one message of a topic: the retained one, or else the next, and exit."
PATIENCE = 5.0  # seconds


def take_filter(asked: Asked, words: Words) -> None:
    """A word that stands alone: a URL, or what to subscribe to."""
    if is_url(words.option):
        take_address(asked, words)
    else:
        asked.filters.append(topic_filter("the topic", words.option))


VERB = Verb(
    "get",
    SUMMARY,
    "[URL] [options] TOPIC",
    (
        collected("-t", "--topic", to="filters", check=topic_filter, metavar="TOPIC", help="the same as TOPIC"),
        qos_option("qos", "-q", "--qos", what="the highest Quality of Service to receive with (0)"),
        TIMEOUT,
        *PRINTING,
        *CLIENT,
    ),
    take_filter,
    f"Without -W it waits for {PATIENCE:g} seconds. The exit code is 27 if nothing has come by then.",
)


def main(words: Sequence[str]) -> int:
    """Run the verb."""
    return run(VERB, check, work, words, late=nothing_came)


def check(asked: Asked) -> None:
    """Refuse what makes no sense; raises UsageError."""
    for name in asked.filters:
        topic_filter("the topic", name)
    if not asked.filters:
        raise UsageError("a topic is needed: linnet get TOPIC, or a URL with one")
    asked.timeout = asked.timeout or PATIENCE
    asked.count = 1


def nothing_came(asked: Asked) -> str:
    """What is said when the time is over."""
    return f"nothing came on {', '.join(asked.filters)} within {asked.timeout:g} s"


async def work(asked: Asked, teller: Teller) -> int:
    """Subscribe, and print the first message that is wanted."""
    async with connected(asked, teller) as client:
        options = subscribing(client, asked, 2 if asked.no_retain else 0)
        subscription = client.subscribe(*asked.filters, **options)
        async with subscription:
            async for message in subscription:
                if not (message.retain and asked.no_retain):
                    Printer(asked, teller).show(message)
                    message.ack()
                    return exit_codes.FINE
                message.ack()
    return exit_codes.LOST
