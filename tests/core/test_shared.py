"""Shared subscriptions: each message to one member, and none lost when members come and go."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from linnet.errors import ReasonCode
from linnet.wire import Puback
from tests.core.steady import STORIES
from tests.pair import FOR_EVER, Client, World

NAMES = ("ann", "bob", "cid")
SHARE = "$share/g/t"


class Sharing(RuleBasedStateMachine):
    """Members of one group come, go, and acknowledge when they like; every message is acknowledged by somebody.

    A member may get a message of QoS 1 that another one got and did not acknowledge; it never gets one that was
    acknowledged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.members: dict[str, Client] = {}
        self.count = 0
        self.acknowledged: Counter[bytes] = Counter()

    @initialize()
    def begin(self) -> None:
        """A member that is away and lives for ever, so that there is always somebody to keep the messages for."""
        keeper = self.world.client("keeper", expiry=FOR_EVER)
        keeper.acknowledges = False
        keeper.subscribe(SHARE, 1)
        keeper.cut()
        self.members["keeper"] = keeper

    @rule(
        name=st.sampled_from(NAMES),
        is_clean=st.booleans(),
        expiry=st.sampled_from([0, FOR_EVER]),
        window=st.integers(1, 3),
    )
    def come(self, name: str, is_clean: bool, expiry: int, window: int) -> None:
        client = self.members.get(name) or Client(self.world, name)
        self.members[name] = client
        if not client.is_open:
            client.acknowledges = False
            client.connect(clean_start=is_clean, expiry=expiry, receive_maximum=window)
            self.world.settle()
        client.subscribe(SHARE, 1)  # perhaps again

    @rule(name=st.sampled_from(NAMES))
    def unsubscribe(self, name: str) -> None:
        client = self.members.get(name)
        if client is not None and client.is_open:
            client.unsubscribe(SHARE)

    @rule(name=st.sampled_from(NAMES))
    def go(self, name: str) -> None:
        client = self.members.get(name)
        if client is not None and client.is_open:
            client.cut()
            self.world.settle()

    @rule(count=st.integers(1, 3))
    def publish(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            assert self.world.publish("t", b"%d" % self.count, 1) == 1
        self.world.settle()

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 3))
    def acknowledge(self, name: str, count: int) -> None:
        client = self.members.get(name)
        if client is not None and client.is_open:
            self.let_acknowledge(client, count)

    def let_acknowledge(self, client: Client, count: int | None = None) -> None:
        """Those that the broker still has in flight to this client count as done by it."""
        in_flight = client.session.sender.in_flight
        for answer in client.owed[:count]:
            assert isinstance(answer, Puback)
            delivery = in_flight.get(answer.packet_id)
            if delivery is not None and delivery.message is not None:
                self.acknowledged[delivery.message.payload] += 1
        client.acknowledge(count)
        self.world.settle()

    @invariant()
    def nobody_gets_what_is_done(self) -> None:
        held = [
            delivery.message.payload
            for session in self.world.sessions.values()
            for delivery in [*session.sender.in_flight.values(), *(session.sender.waiting or ())]
            if delivery.message is not None
        ]
        assert len(set(held)) == len(held), "two members have the same message"
        assert not set(held) & set(self.acknowledged)
        assert set(held) | set(self.acknowledged) == {b"%d" % (number + 1) for number in range(self.count)}

    def teardown(self) -> None:
        """In the end somebody acknowledged each message, once."""
        keeper = self.members.get("keeper")
        if keeper is None:
            return
        for client in self.members.values():
            if client.is_open and client is not keeper:
                client.cut()
        self.world.settle()
        for client in [keeper, *(one for one in self.members.values() if one is not keeper)]:
            client.connect(clean_start=False, expiry=FOR_EVER)
            self.world.settle()
        while any(client.owed for client in self.members.values()):
            for client in self.members.values():
                self.let_acknowledge(client)
        assert self.acknowledged == Counter({b"%d" % (number + 1): 1 for number in range(self.count)})


TestSharing = Sharing.TestCase
TestSharing.settings = STORIES


def member(world: World, name: str, qos: int = 1, expiry: int = FOR_EVER, window: int | None = None) -> Client:
    client = world.client(name, expiry=expiry, receive_maximum=window)
    client.subscribe(SHARE, qos)
    return client


def test_members_take_turns() -> None:
    world = World()
    members = [member(world, name) for name in NAMES]
    for number in range(9):
        world.publish("t", b"%d" % number, 1)
    world.settle()
    assert [len(one.got) for one in members] == [3, 3, 3]
    assert sorted(payload for one in members for payload in one.payloads) == [b"%d" % number for number in range(9)]


def test_who_is_away_gets_nothing_while_somebody_is_there() -> None:
    world = World()
    ann, bob = member(world, "ann"), member(world, "bob")
    ann.cut()
    for number in range(4):
        world.publish("t", b"%d" % number, 1)
    world.settle()
    assert len(bob.got) == 4
    assert not world.sessions["ann"].sender.waiting


def test_a_member_with_room_comes_before_one_that_is_busy() -> None:
    world = World()
    busy, free = member(world, "busy", window=1), member(world, "free")
    busy.acknowledges = False
    for number in range(6):
        world.publish("t", b"%d" % number, 1)
    world.settle()
    assert (len(busy.got), len(free.got)) == (1, 5)


def test_when_all_are_away_a_message_waits_and_goes_to_whoever_comes_first() -> None:
    world = World()
    ann, bob = member(world, "ann"), member(world, "bob")
    ann.cut()
    bob.cut()
    for number in range(4):
        world.publish("t", b"%d" % number, 1)
    bob.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert sorted(bob.payloads) == [b"0", b"1", b"2", b"3"]
    ann.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert ann.got == []


def test_what_a_member_leaves_unacknowledged_goes_to_another() -> None:
    world = World()
    ann = member(world, "ann", expiry=0)
    ann.acknowledges = False
    for number in range(3):
        world.publish("t", b"%d" % number, 1)
    world.settle()
    bob = member(world, "bob")
    ann.cut()
    world.settle()
    assert bob.payloads == [b"0", b"1", b"2"]


def test_so_it_does_when_that_member_had_subscribed_a_second_time() -> None:
    world = World()
    ann = member(world, "ann", expiry=0)
    ann.acknowledges = False
    world.publish("t", b"x", 1)
    world.settle()
    ann.subscribe(SHARE, 1)
    bob = member(world, "bob")
    ann.cut()
    world.settle()
    assert bob.payloads == [b"x"]


def test_what_expired_while_it_waited_for_one_member_is_not_handed_to_another() -> None:
    """[MQTT-3.3.2-5]"""
    world = World()
    ann, bob = member(world, "ann"), member(world, "bob")
    ann.cut()
    bob.cut()
    for payload, seconds in ((b"old", 5), (b"older", 4), (b"new", 50), (b"newer", 60)):
        world.publish("t", payload, 1, message_expiry_interval=seconds)
    world.advance(10)
    bob.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert sorted(bob.payloads) == [b"new", b"newer"]


def test_qos_2_that_a_member_has_begun_to_receive_stays_with_it() -> None:
    world = World()
    ann = member(world, "ann", 2)
    ann.acknowledges = False
    world.publish("t", b"x", 2)
    world.settle()
    bob = member(world, "bob", 2)
    ann.cut()
    world.settle()
    assert bob.got == []
    ann.acknowledges = True
    ann.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert ann.payloads == [b"x"]


def test_a_puback_with_an_error_discards_the_message() -> None:
    world = World()
    ann, bob = member(world, "ann"), member(world, "bob")
    ann.acknowledges = False
    bob.acknowledges = False
    world.publish("t", b"x", 1)
    world.settle()
    (who,) = [one for one in (ann, bob) if one.got]
    who.send(Puback(who.got[0].packet_id, ReasonCode.QUOTA_EXCEEDED))
    who.settle()
    assert len(ann.got) + len(bob.got) == 1
    assert not who.session.sender.in_flight


def test_a_client_may_be_in_two_groups_and_subscribe_plainly_too() -> None:
    world = World()
    bob = world.client("bob")
    for name in ("$share/g/t", "$share/h/t", "t"):
        bob.subscribe(name, 1)
    world.publish("t", b"x", 1)
    world.settle()
    assert bob.payloads == [b"x"] * 3


def test_a_member_that_unsubscribes_with_a_message_in_flight_still_gets_others() -> None:
    """The place that the message took in its window is free again when the member acknowledges."""
    world = World()
    ann = member(world, "ann", window=1)
    member(world, "bob")
    ann.acknowledges = False
    for number in range(2):
        world.publish("t", b"%d" % number, 1)
    world.settle()
    assert len(ann.got) == 1
    ann.unsubscribe(SHARE)
    ann.acknowledge()
    ann.acknowledges = True
    ann.subscribe("other", 1)
    world.publish("other", b"y", 1)
    world.settle()
    assert ann.payloads[-1] == b"y"


def test_the_last_member_takes_the_group_away() -> None:
    world = World()
    ann = member(world, "ann")
    assert ann.unsubscribe(SHARE) == [ReasonCode.SUCCESS]
    assert world.core.router.tree.root.is_empty()
    world.publish("t", b"x", 1)
    world.settle()
    assert ann.got == []


def test_a_group_can_be_read() -> None:
    world = World()
    member(world, "ann")
    (group,) = world.core.router.find(b"t").groups
    assert repr(group) == "<SharedGroup '$share/g/t' of 1>"


def test_what_the_others_have_no_room_for_stays_with_the_member_that_left_and_nothing_is_lost() -> None:
    world = World(max_queued_messages=4)
    ann = member(world, "ann", window=2)
    ann.acknowledges = False
    for number in range(6):
        world.publish("t", b"%d" % number, 1)
    world.settle()
    bob = member(world, "bob", window=1)
    bob.acknowledges = False
    ann.cut()
    world.settle()
    assert bob.payloads == [b"0"]
    assert (bob.session.queued, world.sessions["ann"].queued) == (4, 1)
    ann.acknowledges = bob.acknowledges = True
    bob.acknowledge()
    ann.connect(clean_start=False, expiry=FOR_EVER)
    world.settle()
    assert sorted(bob.payloads + ann.payloads[2:]) == [b"%d" % number for number in range(6)]
    assert world.core.ledger.total(world.core.connections).dropped == 0


def test_what_a_member_leaves_for_good_goes_to_the_others_even_if_they_are_full() -> None:
    """Somebody has to have it; what does not fit meets the policy, and is counted."""
    world = World(max_queued_messages=1)
    ann = member(world, "ann", expiry=0, window=3)
    ann.acknowledges = False
    for number in range(3):
        world.publish("t", b"%d" % number, 1)
    world.settle()
    bob = member(world, "bob", window=1)
    bob.acknowledges = False
    ann.cut()
    world.settle()
    assert (bob.payloads, bob.session.queued) == ([b"0"], 1)
    assert world.core.ledger.total(world.core.connections).dropped_queue_full == 1
