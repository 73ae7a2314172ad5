"""The blocking client: many threads, one hidden loop, and nothing that waits for ever."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event, Thread, current_thread, get_ident
from threading import enumerate as threads
from typing import Any

import pytest

import linnet
from linnet.client.errors import Closed, ConnectRejected, NotDelivered, PublishRejected, QueueFull, SubscribeRejected
from linnet.client.inbox import Inbox, Valve
from linnet.client.options import Offline, Reconnect
from linnet.client.policies import POLICIES
from linnet.core.arrivals import Arrivals
from linnet.sync import Client, loop, waiting
from linnet.sync.handling import Worker
from linnet.sync.inbox import ThreadInbox
from linnet.sync.loop import LoopThread
from linnet.testing import BlockingBroker

SOON = 0.01  # seconds, where a time-out is what is wanted
LONG = 10.0  # seconds, where it would be a fault
NOBODY = linnet.ReasonCode.NO_MATCHING_SUBSCRIBERS
AT_ONCE = Reconnect(first=0.0, ceiling=0.0)


@pytest.fixture
def broker() -> Iterator[BlockingBroker]:
    """A broker on a thread of its own; when it stops, no client may have left a thread."""
    with BlockingBroker() as broker:
        yield broker
    assert [thread for thread in threads() if thread.name.startswith("linnet")] == []


def in_a_thread(function: Callable[[], Any]) -> Any:
    """What a function returns that another thread calls, which is over then."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result(LONG)


# -- publishing


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_published_is_received(broker: BlockingBroker, qos: int) -> None:
    with Client(broker.url) as client, client.subscribe("home/+/temp", qos=qos, codec=linnet.JSON) as readings:
        assert readings.granted == {"home/+/temp": qos}
        assert client.publish("home/kitchen/temp", 21.5, qos=qos, codec=linnet.JSON, timeout=LONG) == 0
        message = readings.get(LONG)
        assert (message.topic, message.value, message.qos) == ("home/kitchen/temp", 21.5, qos)
        assert readings.received == 1


def test_what_is_sent_in_one_thread_goes_out_in_that_order(broker: BlockingBroker) -> None:
    with Client(broker.url) as client:
        sent = [client.send("a", b"%d" % number, qos=number % 2) for number in range(3000)]
        assert {publication.result(LONG) for publication in sent} == {0, NOBODY}
        assert all(publication.done and publication.state == "acknowledged" for publication in sent)
    assert [int(seen.payload) for seen in broker.packets if seen.name == "PUBLISH"] == list(range(3000))


def test_many_threads_publish_and_receive(broker: BlockingBroker) -> None:
    wanted = sorted(f"{writer}:{number}" for writer in range(4) for number in range(50))
    got: SimpleQueue[str] = SimpleQueue()
    with Client(broker.url) as client, client.subscribe("work/#", qos=1) as work:

        def write(writer: int) -> None:
            for number in range(50):
                client.publish(f"work/{writer}", f"{writer}:{number}", qos=1, timeout=LONG)

        def read() -> None:
            for message in work:
                got.put(message.payload.decode())

        with ThreadPoolExecutor(7) as pool:
            readers = [pool.submit(read) for _ in range(3)]
            for writer in [pool.submit(write, number) for number in range(4)]:
                writer.result(LONG)
            assert sorted(got.get(timeout=LONG) for _ in wanted) == wanted
            work.__exit__(None, None, None)
            for reader in readers:
                reader.result(LONG)
    assert got.empty()
    broker.wait_for("CLOSED")
    assert len([seen for seen in broker.packets if seen.name == "PUBACK" and seen.direction == "in"]) == len(wanted)


def test_a_publish_that_is_not_acknowledged_in_time_goes_its_way(broker: BlockingBroker) -> None:
    with Client(broker.url) as client:
        with broker.delay("PUBACK") as held:
            with pytest.raises(TimeoutError, match="is sent, and goes its way"):
                client.publish("a", b"1", qos=1, timeout=SOON)
            publication = client.send("a", b"2", qos=1)
            with pytest.raises(TimeoutError, match=r"after 0\.01 seconds"):
                publication.result(SOON)
            broker.wait_for_message("a", b"2")
            assert not publication.cancel()
            held.lift()
        assert publication.result(LONG) == NOBODY
        assert client._aio.publisher.is_idle  # both have given their identifiers back
    assert [seen.payload for seen in broker.packets if seen.name == "PUBLISH"] == [b"1", b"2"]


def test_a_publish_that_was_not_written_in_time_is_withdrawn(broker: BlockingBroker) -> None:
    with Client(broker.url, reconnect=AT_ONCE) as client:
        gone = Event()
        client.on(linnet.Disconnected)(lambda event: gone.set())
        broker.stop()
        assert gone.wait(LONG)
        with pytest.raises(TimeoutError, match="was withdrawn"):
            client.publish("a", b"late", qos=1, timeout=SOON)
        publication = client.send("a", b"taken back", qos=1)
        assert (publication.state, publication.done) == ("queued", False)
        assert publication.cancel()
        assert publication.state == "withdrawn"
        with pytest.raises(NotDelivered, match="never sent"):
            publication.result(LONG)
        kept = client.send("a", b"kept", qos=1)
        broker.start()
        assert kept.result(LONG) == NOBODY
    assert [seen.payload for seen in broker.packets if seen.name == "PUBLISH"] == [b"kept"]


def test_a_full_queue_lets_publish_wait_and_refuses_send(broker: BlockingBroker) -> None:
    with Client(broker.url, max_inflight=1, offline=Offline(max_messages=2)) as client, ThreadPoolExecutor(1) as pool:
        with broker.delay("PUBACK"):
            sent = [client.send("a", b"%d" % number, qos=1) for number in range(3)]
            with pytest.raises(QueueFull, match="as many as may wait"):
                client.send("a", b"3", qos=1)
            with pytest.raises(TimeoutError, match="was withdrawn"):
                client.publish("a", b"3", qos=1, timeout=SOON)
            last = pool.submit(client.publish, "a", b"3", qos=1)
        assert last.result(LONG) == NOBODY
        assert [publication.result(LONG) for publication in sent] == [NOBODY] * 3
    assert [seen.payload for seen in broker.packets if seen.name == "PUBLISH"] == [b"0", b"1", b"2", b"3"]


def test_a_fault_that_nobody_asks_for_is_an_event() -> None:
    dropped: SimpleQueue[tuple[str, str]] = SimpleQueue()
    with BlockingBroker(max_qos=1) as broker, Client(broker.url) as client:
        client.on(linnet.Dropped)(lambda event: dropped.put((event.topic, event.why)))
        publication = client.send("a", qos=2)
        with pytest.raises(linnet.NotSupported) as raised:
            publication.result(LONG)
        assert (publication.state, publication.done) == ("not delivered", True)
        assert dropped.get(timeout=LONG) == ("a", str(raised.value))


def test_a_thread_that_sends_faster_than_the_loop_follows_waits_for_it(
    broker: BlockingBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "MOST_LEFT", 0)
    with Client(broker.url) as client:
        sent = [client.send("a") for _ in range(3)]
        assert len(client._life.running().left) == 0
        assert [publication.result(LONG) for publication in sent] == [0, 0, 0]


def test_the_faults_of_publishing_are_those_of_the_other_client(broker: BlockingBroker) -> None:
    client = Client(broker.url)
    with pytest.raises(linnet.LinnetError, match="connect first"):
        client.publish("a")
    with client:
        with pytest.raises(linnet.ProtocolError):
            client.publish("a/#")
        with broker.deny("secret"):
            with pytest.raises(PublishRejected):
                client.publish("secret", qos=1, timeout=LONG)
            publication = client.send("secret", qos=2)
            with pytest.raises(PublishRejected):
                publication.result(LONG)
            assert publication.state == "rejected"
            with pytest.raises(SubscribeRejected), client.subscribe("secret"):
                pass
    with pytest.raises(Closed):
        client.publish("a")
    with pytest.raises(linnet.LinnetError, match="make a new one"):
        client.connect()


# -- receiving


def test_a_wait_in_vain_takes_no_message(broker: BlockingBroker) -> None:
    with Client(broker.url) as client, client.subscribe("a", qos=1) as inbox:
        for timeout in (0, SOON):
            with pytest.raises(TimeoutError):
                inbox.get(timeout)
        client.publish("a", b"1", qos=1)
        assert inbox.get(LONG).payload == b"1"


def test_a_message_is_acknowledged_when_its_thread_asks_for_the_next(broker: BlockingBroker) -> None:
    with Client(broker.url, client_id="bob") as client, client.subscribe("a", qos=1) as inbox:
        broker.publish("a", "1", qos=1)
        assert inbox.get(LONG).payload == b"1"
        client.publish("other", qos=1)  # whatever was sent before it has arrived
        assert "PUBACK" not in [seen.name for seen in broker.packets if seen.direction == "in"]
        with pytest.raises(TimeoutError):
            inbox.get(0)
        broker.wait_for("PUBACK", by="bob")
        broker.publish("a", "2", qos=1)
        assert inbox.get(LONG).payload == b"2"
    broker.wait_for("PUBACK", by="bob")  # the scope was left without a fault


def test_a_scope_that_fails_has_not_processed_its_message(broker: BlockingBroker) -> None:
    with Client(broker.url, client_id="bob") as client:
        with pytest.raises(ZeroDivisionError), client.subscribe("a", qos=1) as inbox:
            broker.publish("a", "1", qos=1)
            for _ in inbox:
                raise ZeroDivisionError
        client.publish("other", qos=1)
    broker.wait_for("CLOSED", by="bob")
    assert "PUBACK" not in [seen.name for seen in broker.packets if seen.direction == "in"]


def test_a_thread_that_ends_at_a_message_has_not_processed_it(
    broker: BlockingBroker, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(broker.url, client_id="bob") as client, client.subscribe("a", qos=1) as inbox:
        broker.publish("a", "1", qos=1)
        broker.publish("a", "2", qos=1)

        def take() -> bytes:
            return inbox.get(LONG).payload

        def take_and_say_so() -> bytes:
            message = inbox.get(LONG)
            message.ack()
            return message.payload

        assert [in_a_thread(take), in_a_thread(take_and_say_so)] == [b"1", b"2"]
        broker.wait_for("PUBACK", by="bob")  # that of the second: the first keeps nobody waiting
        client.publish("other", qos=1)
        assert inbox.inbox.readers == {}
    assert len([seen for seen in broker.packets if seen.name == "PUBACK" and seen.direction == "in"]) == 1
    assert "ended while it was at <Message b'a' QoS 1, 1 bytes>" in caplog.text


def test_any_thread_may_acknowledge_by_hand(broker: BlockingBroker) -> None:
    with Client(broker.url, client_id="bob") as client, client.subscribe("a", qos=1, ack="manual") as inbox:
        for number in range(3):
            broker.publish("a", str(number), qos=1)
        messages = [inbox.get(LONG) for _ in range(3)]
        in_a_thread(messages[1].reject)
        in_a_thread(messages[2].ack)
        in_a_thread(messages[0].ack)
        acks = [broker.wait_for("PUBACK", by="bob").packet for _ in range(3)]
        assert [getattr(ack, "reason_code", None) for ack in acks] == [0, 0x83, 0]
        with pytest.raises(linnet.LinnetError, match="acknowledged already"):
            messages[0].ack()


def test_messages_can_be_acknowledged_on_arrival(broker: BlockingBroker) -> None:
    with Client(broker.url, client_id="bob") as client, client.subscribe("a", qos=1, ack="arrival", limit=1) as inbox:
        broker.publish("a", "1", qos=1)
        broker.wait_for("PUBACK", by="bob")
        broker.publish("a", "2", qos=1)  # finds no room, so it is acknowledged when it is taken
        broker.wait_for("PUBLISH", to="bob")
        broker.wait_for("PUBLISH", to="bob")
        client.publish("other", qos=1)
        assert inbox.get(LONG).payload == b"1"
        assert inbox.get(LONG).payload == b"2"
        broker.wait_for("PUBACK", by="bob")


def test_a_slow_thread_holds_back_the_server_where_it_may(broker: BlockingBroker) -> None:
    with Client(broker.url) as client, client.subscribe("a", limit=4, when_full="wait") as inbox:
        for number in range(50):
            broker.publish("a", str(number))
        assert [int(inbox.get(LONG).payload) for _ in range(50)] == list(range(50))
        assert inbox.dropped == 0


def test_a_subscription_survives_a_lost_connection(broker: BlockingBroker) -> None:
    client = Client(broker.url, client_id="bob", reconnect=AT_ONCE)
    events: SimpleQueue[linnet.Event] = SimpleQueue()
    client.on(linnet.Event)(events.put)
    with client, client.subscribe("a", qos=1) as inbox:
        assert isinstance(events.get(timeout=LONG), linnet.Connected)
        broker.restart(sessions=False)
        told = [type(events.get(timeout=LONG))]
        while told[-1] is not linnet.Connected:
            told.append(type(events.get(timeout=LONG)))
        assert told[0] is linnet.Disconnected
        assert told[-2] is linnet.SessionLost
        client.publish("a", b"1", qos=1, timeout=LONG)
        assert inbox.get(LONG).payload == b"1"


def test_reading_ends_with_its_scope_and_with_the_client(broker: BlockingBroker) -> None:
    client = Client(broker.url)
    never = client.subscribe("b")
    with pytest.raises(linnet.LinnetError, match="begins when its context is entered"):
        never.get(0)
    with client, client.subscribe("a") as inbox, ThreadPoolExecutor(1) as pool:
        reader = pool.submit(lambda: list(inbox))
        inbox.__exit__(None, None, None)
        assert reader.result(LONG) == []
    with pytest.raises(Closed):
        inbox.get()
    assert list(inbox) == []


def test_a_client_that_is_ended_by_the_server_says_why(broker: BlockingBroker) -> None:
    with pytest.raises(ConnectRejected) as raised, Client(broker.url, client_id="bob") as client:  # noqa: SIM117
        with client.subscribe("a") as inbox:
            broker.cut("bob", linnet.ReasonCode.SESSION_TAKEN_OVER)
            with pytest.raises(ConnectRejected):
                inbox.get(LONG)
            with pytest.raises(Closed, match="taken over"):
                client.publish("a", timeout=LONG)
    assert raised.value.reason_code == linnet.ReasonCode.SESSION_TAKEN_OVER


def test_a_subscription_that_is_not_answered_is_given_up(
    broker: BlockingBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(broker.url) as client, broker.drop(("SUBACK", "UNSUBACK")), monkeypatch.context() as patched:
        patched.setattr(loop, "GRACE", SOON)
        with pytest.raises(TimeoutError, match=r"not done within 0\.01 seconds"):
            client.subscribe("a", timeout=SOON).__enter__()


# -- the inbox by itself


def inbox_of(policy: str, limit: int) -> tuple[ThreadInbox, list[str]]:
    """An inbox of a loop that is over, whose mailbox is emptied at once; and the topics that it dropped."""
    thread = LoopThread()
    thread.is_over = True
    dropped: list[str] = []
    plain = Inbox(linnet.RAW, 0, limit, POLICIES[policy], Valve())
    plain.tell = dropped.append
    return ThreadInbox(plain, thread), dropped


def message_of(topic: str, arrivals: Arrivals | None = None) -> linnet.Message[bytes]:
    message: linnet.Message[bytes] = linnet.Message(topic, b"", 0 if arrivals is None else 1)
    message.arrival = None if arrivals is None else arrivals.add(len(arrivals.pending) + 1, 1)
    return message


def test_a_full_inbox_drops_the_oldest_of_qos_0() -> None:
    inbox, dropped = inbox_of("drop_oldest", 3)
    arrivals = Arrivals(10)
    for topic in ("a1", "b0", "c1", "d0", "e1", "f0"):
        inbox.put(message_of(topic, arrivals if topic[1] == "1" else None))
    assert dropped == ["b0", "d0"]
    assert [inbox.get(0).topic for _ in range(4)] == ["a1", "c1", "e1", "f0"]
    for topic in ("g1", "h1", "i1", "j0"):
        inbox.put(message_of(topic, arrivals if topic[1] == "1" else None))
    assert (dropped, inbox.dropped) == (["b0", "d0", "j0"], 3)
    assert [inbox.get(0).topic for _ in range(3)] == ["g1", "h1", "i1"]


def test_a_full_inbox_drops_the_newest_if_told_so() -> None:
    inbox, dropped = inbox_of("drop_newest", 2)
    for topic in ("a", "b", "c"):
        inbox.put(message_of(topic))
    assert dropped == ["c"]
    assert [inbox.get(0).topic, inbox.get(0).topic] == ["a", "b"]


def test_whoever_is_interrupted_lets_another_have_the_message(monkeypatch: pytest.MonkeyPatch) -> None:
    inbox, _ = inbox_of("drop_oldest", 10)
    other = waiting.Waiter()

    def interrupted(waiter: waiting.Waiter, timeout: float | None = None) -> bool:
        inbox.waiters.append(other)
        inbox.put(message_of("a"))
        assert waiter.done()
        raise KeyboardInterrupt

    monkeypatch.setattr(waiting.Waiter, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        inbox.get(None)
    assert other.done()
    assert not inbox.waiters
    assert inbox.get(0).topic == "a"


def test_waits_are_cut_into_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SLICE", SOON / 10)
    waiter = waiting.Waiter()
    assert not waiter.wait(SOON)
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(waiter.wait)
        assert not waiter.wait(SOON)
        waiter.set_result()
        assert patient.result(LONG)
    assert waiter.wait(0)
    go = Event()
    thread = Thread(target=go.wait)
    thread.start()
    assert not waiting.join(thread, waiting.Patience(SOON))
    go.set()
    assert waiting.join(thread, waiting.Patience(None))


# -- handlers


def test_handlers_run_in_threads_of_their_own(broker: BlockingBroker) -> None:
    client = Client(broker.url)
    done: SimpleQueue[tuple[str, float, int]] = SimpleQueue()
    idents: list[int] = []

    @client.route("home/{room}/temp", qos=1)
    def on_temperature(room: str, value: float) -> None:
        done.put((room, value, get_ident()))
        client.publish("seen", room, qos=1, timeout=LONG)

    @client.on(linnet.Connected)
    def on_connected(event: linnet.Connected) -> None:
        with client.subscribe("from/listener", timeout=LONG):
            idents.append(get_ident())

    with client, client.subscribe("seen") as seen:
        client.publish("home/kitchen/temp", b"21.5", qos=1)
        assert seen.get(LONG).payload == b"kitchen"
        room, value, ident = done.get(timeout=LONG)
        assert (room, value) == ("kitchen", 21.5)
        broker.wait_for("UNSUBSCRIBE", topic="from/listener")
        with pytest.raises(linnet.LinnetError, match="before the client is connected"):
            client.route("too/late")
        running = client._life.running()
    assert len({ident, running.ident, get_ident(), *idents}) == 4


def test_coroutine_functions_are_refused() -> None:
    client = Client()

    async def handler(message: Any) -> None:
        """Nobody would await it."""

    with pytest.raises(TypeError, match="coroutine function"):
        client.route("a")(handler)
    with pytest.raises(TypeError, match="coroutine function"):
        client.on(linnet.Connected)(handler)


def test_a_route_calls_its_handler_as_often_at_once_as_it_was_told(broker: BlockingBroker) -> None:
    client = Client(broker.url)
    both = [Event(), Event()]

    @client.route("a/{number}", concurrency=2)
    def meet(number: int) -> None:
        both[number].set()
        assert both[1 - number].wait(LONG)
        client.publish("met", qos=1)

    with client:
        client.publish("a/0")
        client.publish("a/1")
        broker.wait_for_message("met")
        broker.wait_for_message("met")
    assert client._life.workers[0].handled == 2


def test_what_a_handler_fails_on_is_not_acknowledged(broker: BlockingBroker, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(broker.url, client_id="bob")

    @client.route("hold/{number}", qos=1)
    def hold(number: int) -> None:
        assert number, "not this one"

    @client.route("reject", qos=1, on_error="reject")
    def reject(value: float) -> None:
        raise AssertionError("it has no value")

    with client:
        broker.publish("hold/0", qos=1)
        broker.publish("hold/word", qos=1)
        broker.publish("reject", "no number", qos=1)
        acks = [broker.wait_for("PUBACK", by="bob").packet for _ in range(2)]
        assert sorted(getattr(ack, "reason_code", -1) for ack in acks) == [0, 0x83]
    assert "the handler of 'hold/{number}' failed" in caplog.text
    assert "a message to 'reject' for 'reject':" in caplog.text
    assert [(worker.handled, worker.failed, worker.unmatched) for worker in client._life.workers] == [
        (0, 1, 1),
        (0, 1, 0),
    ]


def test_a_handler_may_end_the_client_by_raising(broker: BlockingBroker) -> None:
    client = Client(broker.url)

    @client.route("a", on_error="raise")
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), client, client.subscribe("other") as other:
        client.publish("a")
        with pytest.raises(ZeroDivisionError):
            other.get(LONG)


def test_a_handler_may_disconnect(broker: BlockingBroker) -> None:
    client = Client(broker.url, client_id="bob")
    left = Event()

    @client.route("leave", qos=1)
    def leave() -> None:
        client.disconnect()
        left.set()

    with client:
        client.publish("leave", qos=1)
        assert left.wait(LONG)
    broker.wait_for("DISCONNECT", by="bob")
    assert client.state == "closed"


def test_a_message_whose_handler_is_at_work_is_acknowledged_before_the_goodbye(
    broker: BlockingBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(broker.url, client_id="bob")
    begun, go = Event(), Event()
    end = Worker.end

    @client.route("a", qos=1)
    def work() -> None:
        begun.set()
        assert go.wait(LONG)

    def end_and_go(worker: Worker, thread: LoopThread) -> None:
        end(worker, thread)
        go.set()

    monkeypatch.setattr(Worker, "end", end_and_go)
    with client:
        broker.publish("a", "1", qos=1)
        broker.publish("a", "2", qos=1)
        assert begun.wait(LONG)
    broker.wait_for("CLOSED", by="bob")
    assert [seen.name for seen in broker.packets if seen.direction == "in"][-3:] == ["PUBACK", "DISCONNECT", "CLOSED"]
    assert len([seen for seen in broker.packets if seen.name == "PUBACK"]) == client._life.workers[0].handled == 1


def test_a_route_that_is_refused_is_a_fault_of_connecting(broker: BlockingBroker) -> None:
    client = Client(broker.url, client_id="bob")
    client.route("open/{x}")(print)
    client.route("secret")(lambda: None)
    with broker.deny("secret"), pytest.raises(SubscribeRejected):
        client.connect()
    broker.wait_for("DISCONNECT", by="bob")
    assert client.state == "closed"


def test_a_listener_that_fails_is_logged(broker: BlockingBroker, caplog: pytest.LogCaptureFixture) -> None:
    client = Client(broker.url)
    told: list[str] = []

    @client.on(linnet.Connected)
    def fail(event: linnet.Connected) -> None:
        raise ZeroDivisionError

    client.on(linnet.Connected)(lambda event: told.append(current_thread().name))
    with client:
        pass
    assert told == ["linnet events"]
    assert "a listener for Connected failed" in caplog.text


# -- asking and answering


def test_questions_are_answered(broker: BlockingBroker) -> None:
    server = Client(broker.url)

    @server.route("add", qos=1, codec=linnet.JSON)
    def add(message: linnet.Message[Any]) -> None:
        server.reply(message, sum(message.value), codec=linnet.JSON)

    with server, Client(broker.url, close_timeout=0.0) as client:
        assert client.request("add", [1, 2], codec=linnet.JSON, timeout=LONG).payload == b"3"
        with client.requests("add", [3, 4], codec=linnet.JSON, answers=linnet.JSON, timeout=LONG) as answers:
            assert answers.get(LONG).value == 7
        with broker.drop("PUBLISH", topic="add"), pytest.raises(linnet.RequestTimeout):
            client.request("add", timeout=SOON)
        with pytest.raises(linnet.LinnetError, match="no response topic"):
            client.reply(linnet.Message("a"))


# -- the client and its thread


def test_it_can_be_looked_at(broker: BlockingBroker) -> None:
    client = Client(broker.url, client_id="bob")
    assert (client.state, client.is_connected) == ("new", False)
    with client:
        said = linnet.describe(client, 1)
        assert (said["client_id"], said["state"]) == ("bob", "connected")
        assert client.limits.maximum_qos == 2
        client.publish("a", qos=1)
        assert client.statistics.publish1_sent == 1
        assert repr(client) == f"<Client 'bob' at {broker.url}, connected>"
        with client.subscribe("a", "b") as inbox:
            assert linnet.describe(inbox)["filters"] == ["a", "b"]
    assert client.state == "closed"


def test_one_thread_serves_all_clients(broker: BlockingBroker) -> None:
    with Client(broker.url) as one, Client(broker.url) as other:
        assert one._life.running() is other._life.running()
        assert [thread.name for thread in threads()].count("linnet") == 1
        one.disconnect()
        other.publish("a", qos=1, timeout=LONG)
    assert "linnet" not in [thread.name for thread in threads()]


def test_a_connect_that_takes_too_long_is_given_up(broker: BlockingBroker) -> None:
    with broker.drop("CONNACK"), pytest.raises(TimeoutError):
        Client(broker.url).connect(SOON)
    with broker.refuse(), pytest.raises(ConnectRejected):
        Client(broker.url, reconnect=None).connect()


def test_a_goodbye_need_not_wait_for_everything(broker: BlockingBroker) -> None:
    with broker.drop("PUBACK"), Client(broker.url, client_id="bob") as client:
        publication = client.send("a", qos=1)
        broker.wait_for_message("a")
        client.disconnect(timeout=SOON)
        with pytest.raises(NotDelivered, match="may have arrived"):
            publication.result(LONG)
    broker.wait_for("DISCONNECT", by="bob")


def test_whoever_waits_is_told_when_the_client_is_closed(broker: BlockingBroker) -> None:
    with Client(broker.url) as client, ThreadPoolExecutor(2) as pool:
        inbox = client.subscribe("a")
        inbox.__enter__()
        reader = pool.submit(inbox.get)
        with broker.drop("PUBACK"):
            writer = pool.submit(client.publish, "b", qos=1)
            broker.wait_for_message("b")
            client.disconnect(timeout=0)
        assert isinstance(writer.exception(LONG), NotDelivered)
        assert isinstance(reader.exception(LONG), Closed)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such signal")
def test_a_signal_handler_may_call_a_client(broker: BlockingBroker) -> None:
    codes: list[int] = []
    with Client(broker.url) as client, client.subscribe("told") as inbox:
        before = signal.signal(signal.SIGUSR1, lambda *_: codes.append(client.publish("told", qos=1, timeout=LONG)))
        try:
            Thread(target=os.kill, args=[os.getpid(), signal.SIGUSR1]).start()
            assert inbox.get(LONG).topic == "told"
        finally:
            signal.signal(signal.SIGUSR1, before)
    assert codes == [0]


async def test_it_works_beside_a_running_event_loop() -> None:
    with BlockingBroker() as broker, Client(broker.url) as client, client.subscribe("a") as inbox:
        client.publish("a", b"1", timeout=LONG)
        assert inbox.get(LONG).payload == b"1"


def test_the_hidden_thread_cannot_wait_for_itself(broker: BlockingBroker) -> None:
    faults: list[linnet.LinnetError] = []

    async def dial(factory: Callable[[], Any]) -> Any:
        with pytest.raises(linnet.LinnetError, match="would wait for the thread that it is called in") as raised:
            client.publish("a")
        faults.append(raised.value)
        return await asyncio.get_running_loop().create_connection(factory, broker.host, broker.port)

    client = Client(dial=dial)
    with client:
        assert len(faults) == 1


def test_a_password_may_take_its_time_to_be_found(broker: BlockingBroker) -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append(current_thread().name)
        return "secret"

    with Client(broker.url, user_name="bob", password=password):
        pass
    assert len(asked) == 1 and asked != ["linnet"]


def test_nothing_is_lost_when_a_coroutine_ends_while_it_is_cancelled() -> None:
    thread = LoopThread()
    thread.start()

    async def stubborn() -> str:
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            return "taken"
        return "never"

    try:
        assert thread.run(stubborn, timeout=SOON) == "taken"
        with pytest.raises(TimeoutError):
            thread.run(asyncio.sleep, LONG, timeout=SOON)
    finally:
        thread.stop()
    with pytest.raises(Closed):
        thread.run(stubborn)
    assert repr(thread) == "<LoopThread over, for 0 clients>"


def test_a_fault_in_the_mailbox_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    thread = LoopThread()
    thread.start()
    thread.post(lambda: 1 / 0)
    thread.run(asyncio.sleep, 0)
    thread.stop()
    assert "a fault of ours" in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


# -- the process


def program(broker: BlockingBroker, text: str) -> "subprocess.Popen[str]":
    """A program with the broker's address in `URL`."""
    script = f"URL = {broker.url!r}\n" + textwrap.dedent(text)
    return subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.system
@pytest.mark.skipif(sys.platform == "win32", reason="a process there cannot send another one Ctrl-C")
def test_ctrl_c_ends_every_wait(broker: BlockingBroker) -> None:
    broker.drop("PUBACK")
    text = """
        import linnet.sync
        with linnet.sync.Client(URL, client_id="bob", close_timeout=0) as client:
            with client.subscribe("never") as inbox:
                waits = [
                    lambda: client.publish("a", qos=1),
                    lambda: client.send("a", qos=1).result(),
                    lambda: inbox.get(),
                    lambda: client.request("a", timeout=None),
                ]
                for wait in waits:
                    try:
                        print("waiting", flush=True)
                        wait()
                    except KeyboardInterrupt:
                        print("interrupted", flush=True)
                for message in inbox:
                    pass
                """
    with program(broker, text) as process:
        assert process.stdout is not None and process.stderr is not None
        for _ in range(4):
            assert process.stdout.readline() == "waiting\n"
            process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG) == -signal.SIGINT
        assert process.stderr.read().splitlines()[-1] == "KeyboardInterrupt"
    broker.wait_for("UNSUBSCRIBE", by="bob", topic="never")
    broker.wait_for("DISCONNECT", by="bob")


@pytest.mark.system
@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_process_that_was_forked_off_makes_a_client_of_its_own(broker: BlockingBroker) -> None:
    text = """
        import os, sys, linnet.sync
        with linnet.sync.Client(URL, client_id="parent") as client, client.subscribe("a") as inbox:
            pid = os.fork()
            if pid == 0:
                for call in (client.publish, client.send, client.request):
                    try:
                        call("a")
                    except linnet.LinnetError as fault:
                        print(fault, flush=True)
                try:
                    inbox.get()
                except linnet.LinnetError as fault:
                    print(fault, flush=True)
                print(client.state, flush=True)
                with linnet.sync.Client(URL, client_id="child") as own:
                    own.publish("a", "from the child", qos=1)
                sys.exit()
            assert os.waitpid(pid, 0)[1] == 0
            print(inbox.get(10).payload)
            client.publish("a", "from the parent", qos=1)
        """
    with program(broker, text) as process:
        out, errors = process.communicate(timeout=LONG)
    fault = "this client belongs to the process that was forked: make a new one in this one"
    assert out.splitlines() == [fault] * 4 + ["closed", "b'from the child'"], errors
    assert process.returncode == 0
    broker.wait_for("DISCONNECT", by="child")
    broker.wait_for_message("a", "from the parent", by="parent")
    broker.wait_for("DISCONNECT", by="parent")


@pytest.mark.system
def test_a_program_that_ends_says_goodbye(broker: BlockingBroker) -> None:
    text = """
        import threading, linnet.sync
        client = linnet.sync.Client(URL, client_id="bob")
        other = linnet.sync.Client(URL, client_id="ann").connect()
        @client.route("a")
        def handle(message):
            threading.Event().wait()
        client.connect()
        inbox = client.subscribe("b").__enter__()
        threading.Thread(target=list, args=[inbox], daemon=True).start()
        client.send("last", "words", qos=1)
        """
    with program(broker, text) as process:
        assert process.communicate(timeout=LONG) == ("", "")
        assert process.returncode == 0
    broker.wait_for_message("last", "words")
    broker.wait_for("DISCONNECT", by="bob")
    broker.wait_for("DISCONNECT", by="ann")
