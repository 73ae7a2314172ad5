"""Whatever happens to the connections: QoS 2 exactly once, QoS 1 at least once, both in order, in both directions."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.steady import STORIES
from tests.pair import FOR_EVER, Client, World


def first_of_each(payloads: list[bytes]) -> list[bytes]:
    return list(dict.fromkeys(payloads))


class Cutting(RuleBasedStateMachine):
    """Ann publishes to Bob through a broker; lines are cut anywhere, also within a packet, and Bob's window changes."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(receive_maximum=3, max_inflight=4)
        self.published: dict[int, list[bytes]] = {1: [], 2: []}

    @initialize(window=st.integers(1, 4))
    def begin(self, window: int) -> None:
        self.ann = self.world.client("ann", expiry=FOR_EVER)
        self.bob = self.world.client("bob", expiry=FOR_EVER, receive_maximum=window)
        self.bob.subscribe("qos/1", 1)
        self.bob.subscribe("qos/2", 2)

    @rule(qos=st.sampled_from([1, 2]), count=st.integers(1, 4))
    def publish(self, qos: int, count: int) -> None:
        for _ in range(count):
            payload = b"%d" % (len(self.published[qos]) + 1)
            self.published[qos].append(payload)
            self.ann.publish(f"qos/{qos}", payload, qos)

    @rule(is_ann=st.booleans(), to_broker=st.integers(0, 40), to_client=st.integers(0, 40))
    def move_some_bytes(self, is_ann: bool, to_broker: int, to_client: int) -> None:
        (self.ann if is_ann else self.bob).move(to_broker, to_client)
        self.world.turn()

    @rule()
    def settle(self) -> None:
        self.world.settle()

    @rule(is_ann=st.booleans())
    def cut(self, is_ann: bool) -> None:
        client = self.ann if is_ann else self.bob
        if client.is_open:
            client.cut()

    @precondition(lambda self: not self.ann.is_open)
    @rule()
    def ann_comes_back(self) -> None:
        self.come_back(self.ann, None)

    @precondition(lambda self: not self.bob.is_open)
    @rule(window=st.integers(1, 4))
    def bob_comes_back(self, window: int) -> None:
        self.come_back(self.bob, window)

    @precondition(lambda self: self.bob.is_open)
    @rule(window=st.integers(1, 4))
    def bob_takes_over_from_himself(self, window: int) -> None:
        """The broker still believes in the old connection."""
        old = self.bob.connection
        self.bob.hang_up()
        self.come_back(self.bob, window)
        self.world.settle()
        assert old is not self.bob.session.connection

    def come_back(self, client: Client, window: int | None) -> None:
        client.connect(clean_start=False, expiry=FOR_EVER, receive_maximum=window)

    @rule()
    def bob_holds_his_answers_back(self) -> None:
        self.bob.acknowledges = False

    @rule(count=st.integers(1, 4))
    def bob_answers(self, count: int) -> None:
        self.bob.acknowledge(count)

    @rule()
    def bob_answers_at_once_again(self) -> None:
        self.bob.acknowledges = True
        self.bob.acknowledge()

    @invariant()
    def bob_has_what_the_promise_allows(self) -> None:
        got = {qos: [m.payload for m in self.bob.got if m.topic == f"qos/{qos}"] for qos in (1, 2)}
        assert got[2] == self.published[2][: len(got[2])], "QoS 2: exactly once, in order"
        once = first_of_each(got[1])
        assert once == self.published[1][: len(once)], "QoS 1: at least once, in order at first"

    def teardown(self) -> None:
        """With the lines whole again everything arrives, and nothing is left under way."""
        for client in (self.ann, self.bob):
            client.acknowledges = True
            if client.is_open:
                client.cut()
            self.come_back(client, 2)
        self.world.settle()
        got = {qos: [m.payload for m in self.bob.got if m.topic == f"qos/{qos}"] for qos in (1, 2)}
        assert got[2] == self.published[2]
        assert first_of_each(got[1]) == self.published[1]
        for sender in (self.ann.sender, self.bob.session.sender):
            assert not sender.in_flight and not sender.waiting
            assert sender.quota == sender.window
        assert not self.ann.session.receiver.unreleased
        assert not self.bob.receiver.unreleased


TestCutting = Cutting.TestCase
TestCutting.settings = STORIES
