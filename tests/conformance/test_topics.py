"""4.7 Topic names and topic filters: what is one, and which filter matches which name."""

import pytest

from linnet import Broker
from linnet.wire import Disconnect, Properties, Publish, Suback, Subscribe, SubscriptionOptions, Version
from tests.conformance.tools import EVERY_VERSION, codes, complaint
from tests.conftest import MakeBroker
from tests.peer import Peer

# Filter, names it matches, names it does not match
MATCHES = {
    "#": (["a", "a/b", "/", "/a", "a/", "//", "a/$b", " "], ["$a", "$a/b", "$/a"]),
    "+": (["a", "a$", " "], ["/", "a/", "/a", "a/b", "$a"]),
    "+/+": (["a/b", "/", "/a", "a/", "a/$b"], ["a", "a/b/c", "//", "$a/b"]),
    "/+": (["/a", "/", "/$a"], ["a", "/a/b", "a/b", "//"]),
    "+/": (["a/", "/"], ["a", "a/b", "/a", "//", "$a/"]),
    "/#": (["/", "/a", "//", "/a/b"], ["a", "a/b"]),
    "a/#": (["a", "a/", "a/b", "a/b/c", "a//"], ["ab", "b", "/a", "A", "b/a"]),
    "a//#": (["a/", "a//", "a//b"], ["a", "a/b", "a/b/"]),
    "+/#": (["a", "a/b", "/", "/a", "a/b/c"], ["$a", "$a/b"]),
    "+/b/#": (["a/b", "a/b/c", "/b"], ["b", "a/c", "$a/b"]),
    "a/+": (["a/b", "a/", "a/$b"], ["a", "a/b/c", "a//", "b/b"]),
    "a/+/c": (["a/b/c", "a//c"], ["a/c", "a/b/b/c", "a/b/c/", "a/b"]),
    "a/+/+/d": (["a/b/c/d", "a///d"], ["a/b/d", "a/b/c/c/d"]),
    "a/+/#": (["a/b", "a/", "a/b/c", "a//"], ["a", "b/a"]),
    "+/+/c": (["a/b/c", "//c"], ["a/c", "a/b/c/d", "$a/b/c"]),
    "a": (["a"], ["A", "a/", "/a", "aa", "b", "\u00e4"]),
    "/": (["/"], ["a", "//", "a/", "/a"]),
    "//": (["//"], ["/", "///", "a//"]),
    "a//b": (["a//b"], ["a/b", "a///b", "a/x/b"]),
    "a b": (["a b"], ["ab", "a  b", "a"]),
    "$a": (["$a"], ["a", "$A", "$a/b"]),
    "$a/#": (["$a", "$a/", "$a/b", "$a/b/c"], ["a", "a/b", "$b", "x/$a"]),
    "$a/+": (["$a/b", "$a/", "$a/$b"], ["$a", "$a/b/c", "a/b"]),
    "\u00e4/\u732b": (["\u00e4/\u732b"], ["a\u0308/\u732b", "\u00c4/\u732b", "\u00e4/"]),
    "\ufeffa": (["\ufeffa"], ["a"]),
    "$shared/a": (["$shared/a"], ["a"]),
}

# Text that is no topic filter
NO_FILTERS = [
    "",
    "a#",
    "#a",
    "a/#b",
    "a/#/",
    "a/#/b",
    "##",
    "#/",
    "#/#",
    "a+",
    "+a",
    "a/+b",
    "a/b+/c",
    "++",
    "a/++",
    "+#",
]

NO_NAMES = ["+", "#", "a/+", "a/#", "a+", "a#", "+/a", "a/b/c/#"]


async def refusal(broker: Broker, version: Version, name: str) -> bool:
    """Whether a subscription is refused: by a code of its own in SUBACK, or by the end of the connection."""
    async with Peer(broker, "bob", version) as bob:
        bob.send(Subscribe(1, [(name, SubscriptionOptions())], Properties()))
        bob.send(b"\xe0\x00")
        (answer,) = await bob.closed() or [None]
        if isinstance(answer, Suback):
            (code,) = answer.reason_codes
            return code == (0x8F if version.can_say_why else 0x80)
        if version.can_say_why:
            return isinstance(answer, Disconnect) and answer.reason_code in (0x81, 0x8F)
        return answer is None


@EVERY_VERSION
@pytest.mark.parametrize("name", MATCHES)
@pytest.mark.clause(
    *("3.1.1:MQTT-4.7.1-2", "3.1.1:MQTT-4.7.1-3", "3.1.1:MQTT-4.7.2-1", "3.1.1:MQTT-4.7.3-4"),
    *("5.0:MQTT-4.7.1-1", "5.0:MQTT-4.7.1-2", "5.0:MQTT-4.7.2-1", "5.0:MQTT-4.7.3-4"),
)
async def test_a_filter_matches_these_names_and_not_those(broker: Broker, version: Version, name: str) -> None:
    wanted, unwanted = MATCHES[name]
    async with Peer(broker, "bob", version) as bob:
        assert (await bob.subscribe(name)).reason_codes == [0]
        for topic in (*unwanted, *wanted):
            await bob.publish(topic, b"x")
        found = [(await bob.receive()).topic for _ in wanted]
        assert found == wanted
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("name", MATCHES)
@pytest.mark.clause("3.1.1:MQTT-4.7.1-2", "3.1.1:MQTT-4.7.2-1", "5.0:MQTT-4.7.1-1", "5.0:MQTT-4.7.2-1")
async def test_retained_messages_are_found_by_the_same_rules(broker: Broker, version: Version, name: str) -> None:
    wanted, unwanted = MATCHES[name]
    async with Peer(broker, "bob", version) as bob:
        for topic in (*unwanted, *wanted):
            await bob.publish(topic, b"x", retain=True)
        await bob.subscribe(name)
        found = [(await bob.receive()).topic for _ in wanted]
        assert sorted(found) == sorted(wanted)
        await bob.nothing()


@EVERY_VERSION
@pytest.mark.parametrize("prefix", ["", "$share/group/"], ids=["plain", "shared"])
@pytest.mark.parametrize("name", NO_FILTERS)
@pytest.mark.clause(
    *("3.1.1:MQTT-4.7.1-2", "3.1.1:MQTT-4.7.1-3", "3.1.1:MQTT-4.7.3-1"),
    *("5.0:MQTT-4.7.1-1", "5.0:MQTT-4.7.1-2", "5.0:MQTT-4.7.3-1"),
)
async def test_what_is_no_filter_is_refused(broker: Broker, version: Version, prefix: str, name: str) -> None:
    assert await refusal(broker, version, prefix + name)


@EVERY_VERSION
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("name", NO_NAMES)
@pytest.mark.clause("3.1.1:MQTT-4.7.1-1", "5.0:MQTT-4.7.0-1")
async def test_a_topic_name_with_a_wildcard_ends_the_connection(
    broker: Broker, version: Version, name: str, qos: int
) -> None:
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe("#")
        bob.send(Publish(name, b"x", qos, packet_id=1 if qos else 0))
        assert codes(await bob.closed()) in (complaint(version, 0x90), complaint(version, 0x81))


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.7.3-1", "5.0:MQTT-4.7.3-1")
async def test_an_empty_topic_name_ends_the_connection(broker: Broker, version: Version) -> None:
    async with Peer(broker, "bob", version) as bob:
        bob.send(Publish("", b"x"))
        found = codes(await bob.closed())
        assert found in [complaint(version, code) for code in (0x81, 0x82, 0x90)]


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.7.3-3", "5.0:MQTT-4.7.3-3")
async def test_topics_may_be_as_long_as_a_string_can_be(make_broker: MakeBroker, version: Version) -> None:
    broker = await make_broker(max_topic_bytes=65535)
    name = "x" * 65535
    async with Peer(broker, "bob", version) as bob:
        await bob.subscribe(name, qos=1)
        await bob.publish(name, b"x", qos=1)
        assert (await bob.receive()).topic == name


@EVERY_VERSION
@pytest.mark.clause("3.1.1:MQTT-4.7.3-4", "5.0:MQTT-4.7.3-4")
async def test_names_that_mean_something_elsewhere_are_names_like_others(broker: Broker, version: Version) -> None:
    names = [
        "__proto__",
        "constructor",
        "*",
        ".*",
        "a.b",
        "%00",
        "[a-z]",
        "\\",
        "..",
        "../a",
        "?",
        "(a|b)",
    ]
    async with Peer(broker, "bob", version) as bob:
        for name in names:
            await bob.subscribe(name)
        for name in names:
            await bob.publish(name, b"x")
            assert (await bob.receive()).topic == name
            await bob.nothing()
