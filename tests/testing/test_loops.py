"""The broker does the same on every event loop, whichever transports the loop brings."""

from importlib.util import find_spec

import pytest

from linnet import Properties, ReasonCode
from linnet.net.loop import new_event_loop
from linnet.testing import Broker
from linnet.wire import Disconnect, Pingreq, Pingresp, Publish, Suback, Subscribe, SubscriptionOptions
from tests.net.loops import LoopFactory, run_on
from tests.testing.wires import over_tcp

FACTORIES: list[LoopFactory] = [new_event_loop]
if find_spec("uvloop") is not None:
    import uvloop

    FACTORIES.append(uvloop.new_event_loop)


async def everything_goes_wrong() -> None:
    async with Broker() as broker:
        ann = await over_tcp(broker, "ann")
        await ann.ask(Subscribe(1, [("a", SubscriptionOptions(0))], Properties()), Suback, 1)
        bob = await over_tcp(broker, "bob")
        broker.cut("bob")
        assert isinstance(await bob.closed(), ConnectionResetError)
        broker.drop("PUBLISH", count=1, by="ann")
        broker.duplicate("PUBLISH", count=1, to="ann")
        late = broker.delay("PINGREQ", count=1)
        for packet in (Publish("a", b"1"), Publish("a", b"2"), Pingreq()):
            ann.send(packet)
        assert [(await ann.next()).payload for _ in range(2)] == [b"2", b"2"]
        await broker.wait_for("PINGREQ")
        late.lift()
        assert isinstance(await ann.next(), Pingresp)
        broker.advance()
        cat = await over_tcp(broker, "cat", properties=Properties(session_expiry_interval=60))
        cat.send(Disconnect())
        await cat.closed()
        broker.advance(60)
        assert list(broker.sessions) == ["ann"]
        broker.refuse()
        refused = await over_tcp(broker, "cat")
        assert refused.received[0].reason_code == ReasonCode.SERVER_UNAVAILABLE
        await refused.closed()
        await broker.restart()
        await ann.closed()
        again = await over_tcp(broker, "ann")
        again.send(Disconnect())
        await again.closed()


@pytest.mark.parametrize("factory", FACTORIES, ids=lambda factory: factory.__module__)
def test_everything_goes_wrong_as_it_should(factory: LoopFactory) -> None:
    assert run_on(factory, everything_goes_wrong) == []
