"""`linnet sub`: subscribe, and print what comes, as mosquitto_sub does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from linnet.cli import exit_codes
from linnet.cli.asked import Asked, UsageError
from linnet.cli.checks import topic_filter
from linnet.cli.client_options import CLIENT, TIMEOUT, qos_option
from linnet.cli.connecting import connected
from linnet.cli.grammar import Option, Verb, Words, collected, flag, number
from linnet.cli.printing import PRINTING, Printer, Verdict, by_chance, is_filtered_out, judge, subscribing
from linnet.cli.running import run
from linnet.cli.teller import Teller
from linnet.cli.url_words import take_word

if TYPE_CHECKING:
    from linnet.client.client import Client, SubscribeOptions
    from linnet.client.message import Message
    from linnet.client.publication import Publication
    from linnet.client.subscription import Subscription

SUMMARY = "Subscribe to topics, and print the messages that come."


def _chance(asked: Asked, words: Words) -> None:
    try:
        asked.random_filter = float(words.take("percentage"))
    except ValueError:
        asked.random_filter = 0.0
    if not 0.1 <= asked.random_filter <= 100.0:
        raise UsageError(f"{words.option} is a percentage from 0.1 to 100")


VERB = Verb(
    "sub",
    SUMMARY,
    "[URL] [options] -t FILTER…",
    (
        collected("-t", "--topic", to="filters", check=topic_filter, metavar="FILTER", help="what to subscribe to"),
        qos_option("qos", "-q", "--qos", what="the highest Quality of Service to receive with (0)"),
        number("-C", to="count", least=1, most=2**31 - 1, metavar="COUNT", help="exit after so many messages"),
        TIMEOUT,
        collected(
            "-T", "--filter-out", to="filter_outs", check=topic_filter, metavar="FILTER", help="do not print these"
        ),
        collected("-U", "--unsubscribe", to="unsubscribe", check=topic_filter, metavar="FILTER", help="unsubscribe"),
        flag("-E", to="exit_after_sub", help="exit when the broker has acknowledged the subscriptions"),
        flag("--retained-only", to="retained_only", help="exit at the first message that was not retained"),
        flag("--remove-retained", to="remove_retained", help="clear every retained message that comes"),
        number(
            "--retain-handling",
            to="retain_handling",
            least=0,
            most=2,
            metavar="NUMBER",
            help="0: retained messages at once, 1: if the subscription is new, 2: never",
        ),
        flag("--no-local", to="no_local", help="no messages that this client has published"),
        Option(("--random-filter",), _chance, "PERCENT", "print only so many of the messages, by chance"),
        *PRINTING,
        *CLIENT,
    ),
    take_word,
)


def main(words: Sequence[str]) -> int:
    """Run the verb."""
    return run(VERB, check, work, words, on_term=exit_codes.FINE)


def check(asked: Asked) -> None:
    """Refuse what makes no sense; raises UsageError."""
    for name in asked.filters:
        topic_filter("the URL", name)
    if not asked.filters and not asked.unsubscribe:
        raise UsageError("a topic to subscribe to is needed: -t FILTER, or a URL with one")
    if asked.no_retain and asked.retained_only:
        raise UsageError("-R and --retained-only leave nothing over")


async def work(asked: Asked, teller: Teller) -> int:
    """Subscribe, print, and say goodbye."""
    from linnet.client.events import Disconnected
    from linnet.client.options import Reconnect

    async with connected(asked, teller, Reconnect(ceiling=10.0)) as client:

        def lost(event: Disconnected) -> None:
            if event.again_in is not None:
                teller.error(f"{event.detail}; connecting again in {event.again_in:.1f} s")

        client.on(Disconnected)(lost)
        refused, subscription = await subscribe(client, asked, teller)
        if asked.unsubscribe:
            quiet: SubscribeOptions = {}
            if client.limits.version.has_properties:
                said = asked.properties["unsubscribe"].user_properties
                quiet = {"retain_handling": 2, "user_properties": said}
            async with client.subscribe(*asked.unsubscribe, **quiet):
                pass  # leaving is what was wanted; only what was subscribed to can be left
        if subscription is None or asked.exit_after_sub:
            return refused
        await listen(client, subscription, asked, Printer(asked, teller))
        return refused


async def subscribe(client: Client, asked: Asked, teller: Teller) -> tuple[int, Subscription[bytes] | None]:
    """Subscribe to all that the broker allows: the exit code for what it does not, and the subscription if any."""
    from linnet.client.errors import SubscribeRejected

    code = exit_codes.FINE
    filters = list(dict.fromkeys(asked.filters))
    while filters:
        options = subscribing(client, asked, retain_handling(asked))
        if asked.no_local:
            options["no_local"] = True
        if asked.retain_handling is not None:  # whoever asks for it hears that 3.1.1 does not have it
            options["retain_handling"] = asked.retain_handling
        subscription = client.subscribe(*filters, **options)
        try:
            await subscription.__aenter__()
        except SubscribeRejected as error:
            teller.error(error)
            code = code or exit_codes.of_refusal(error.reason_code, asked.version, False)
            del filters[len(subscription.granted)]  # they are answered in their order
        else:
            for name, qos in subscription.granted.items():
                teller.debug(f"subscribed to {name} with QoS {qos}")
            return code, subscription
    return code, None


def retain_handling(asked: Asked) -> int:
    """Whether retained messages are to be sent: -R needs none, unless they are to be cleared."""
    return 2 if asked.no_retain and not asked.remove_retained else 0


async def listen(client: Client, subscription: Subscription[bytes], asked: Asked, printer: Printer) -> None:
    """Print messages until there were enough. A message is acknowledged when it was printed."""
    clearing: list[Publication] = []
    left = asked.count
    async for message in subscription:
        verdict = judge(asked, message)
        if asked.remove_retained and message.retain and not is_filtered_out(asked, message):
            clearing.append(clear(client, message))
        if verdict is Verdict.SHOW:
            if by_chance(asked):
                printer.show(message)
            left -= 1
        message.ack()
        if verdict is Verdict.STOP or (asked.count and not left):
            break
    for publication in clearing:
        await publication


def clear(client: Client, message: Message[bytes]) -> Publication:
    """Have the broker forget a retained message."""
    return client.send(message.topic, b"", qos=min(1, client.limits.maximum_qos), retain=True)
