"""`linnet rr`: publish a request, and print the answer, as mosquitto_rr does."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace

from linnet.cli import exit_codes, sources
from linnet.cli.asked import Asked, UsageError
from linnet.cli.checks import topic_filter, topic_name
from linnet.cli.client_options import CLIENT, TIMEOUT, qos_option
from linnet.cli.connecting import connected
from linnet.cli.grammar import Option, Verb, Words
from linnet.cli.printing import PRINTING, Printer, subscribing
from linnet.cli.running import run
from linnet.cli.teller import Teller
from linnet.cli.url_words import take_word
from linnet.errors import ReasonCode

SUMMARY = "Publish a request, wait for the answer to it, and print that."


def _response_topic(asked: Asked, words: Words) -> None:
    asked.response_topic = topic_name(words.option, words.take("topic"))


VERB = Verb(
    "rr",
    SUMMARY,
    "[URL] [options] -t TOPIC {-m TEXT | -f FILE | -s | -n} [-e TOPIC]",
    (
        sources.TOPIC,
        Option(("-e",), _response_topic, "TOPIC", "where the answer comes to (a topic made by chance)"),
        *sources.SINGLE,
        qos_option("qos", "-q", "--qos", what="the Quality of Service, of both (0)"),
        TIMEOUT,
        *PRINTING,
        *CLIENT,
    ),
    take_word,
)


def main(words: Sequence[str]) -> int:
    """Run the verb."""
    return run(VERB, check, work, words)


def check(asked: Asked) -> None:
    """Refuse what makes no sense; raises UsageError."""
    if not asked.topic or not asked.source:
        raise UsageError("a topic (-t) and a message (-m, -f, -s or -n) are needed")
    topic_name("the topic", asked.topic)
    if asked.response_topic:
        topic_filter("-e", asked.response_topic)


async def work(asked: Asked, teller: Teller) -> int:
    """Subscribe to the answer, ask, and print the first that comes."""
    payload = sources.payload_of(asked)
    where = asked.response_topic or f"linnet/reply/{secrets.token_hex(8)}"
    properties = replace(asked.properties["publish"], response_topic=where, topic_alias=None)
    async with connected(asked, teller) as client:
        answers = client.subscribe(where, **subscribing(client, asked, 2 if asked.no_retain else 0))
        async with answers:
            code = await client.publish(asked.topic, payload, qos=asked.qos, properties=properties)
            if code == ReasonCode.NO_MATCHING_SUBSCRIBERS:
                teller.note(f"nobody is subscribed to {asked.topic}")
            async for message in answers:
                if not (message.retain and asked.no_retain):
                    Printer(asked, teller).show(message)
                    message.ack()
                    return exit_codes.FINE
                message.ack()
    return exit_codes.LOST
