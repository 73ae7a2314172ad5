#!/usr/bin/env python3
"""Measure what many connections, subscriptions and messages cost: `make scale`, or `python benchmarks/scale.py --help`.

Each measurement starts a `linnet serve` of its own, with those limits raised that it would run into, looks at it from
outside, and gives figures; some have a bar, which is the most that they may be. How to read them: docs/performance.md.
"""

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from client import PATIENCE, PUBACK, SUBACK, Client, connections_to, publish, subscribe
from compare import BrokerProcess, pinned
from run import ROOT, build_tools

HERE = Path(__file__).resolve().parent
CONNECTIONS = 10_000
FIRST = 1000  # connections that are not counted: what they take, a process takes but once
SUBSCRIPTIONS = 1_000_000
SESSIONS = 1000
RETAINED = 1_000_000
TOPICS = 20_000  # in one round of matching
ROUNDS = 5
FANOUTS = 30
SLOW_READERS = 20
SECONDS = 5.0  # of a flood, and of listening to a broker at rest
PING_BAR = 50.0  # ms
LOOK = 0.02  # seconds between two looks
QUICK_DIVISOR = 50
SPARE_FILES = 200  # descriptors that a process needs besides its connections
# The measurements are about cost, not about limits
RAISED: dict[str, int | str] = {
    "log_level": "warning",
    "max_connections": 200_000,
    "accept_rate": 0,
    "max_preconnect_per_address": 0,
    "max_subscriptions": 2 * SUBSCRIPTIONS,
    "max_retained": 2 * RETAINED,
    "max_retained_bytes": 1 << 32,
}


@dataclass(slots=True)
class Figure:
    """What came out; `bar` is the most that it may be, None where it is only told."""

    what: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def is_met(self) -> bool:
        return self.bar is None or self.value <= self.bar


@dataclass(slots=True)
class Bench:
    """Where everything is, and by how much the numbers are divided."""

    bin: Path
    mqload: str
    divisor: int

    def part(self, number: int) -> int:
        """A number of connections or messages, or with --quick a part of it."""
        return max(1, number // self.divisor)

    def broker(self) -> BrokerProcess:
        python = str(self.bin / "python")
        words = [python, "-m", "linnet", "serve", "--listen", "127.0.0.1:{port}", *settings(python, RAISED)]
        return BrokerProcess("linnet", {"cmd": words})


def settings(python: str, wanted: dict[str, int | str]) -> list[str]:
    """The options that ask for these settings, without those that this linnet does not know."""
    command = [python, "-c", "from linnet.settings import OPTIONS; print(*OPTIONS)"]
    known = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return [word for name, value in wanted.items() if name in known for word in ("--set", f"{name}={value}")]


class Beside:
    """The client beside, in a process of its own: how long PINGRESP takes while something else goes on."""

    def __init__(self, broker: BrokerProcess) -> None:
        command = [*pinned(1), sys.executable, str(HERE / "client.py"), str(broker.port), str(broker.process.pid)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said: dict[str, float] = {}

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            raise ConnectionError("the client beside could not connect")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        said = self.process.communicate(timeout=120)[0]
        if kind is None:
            self.said = json.loads(said)

    def figures(self, during: str, bar: float | None = PING_BAR) -> list[Figure]:
        worst = Figure(f"PINGRESP beside {during}: worst of {self.said['pings']:.0f}", self.said["worst"], "ms", bar)
        return [worst, Figure("CPU time of the broker during one of those, at most", self.said["busy"], "ms")]


@contextlib.contextmanager
def running(bench: Bench) -> Iterator[BrokerProcess]:
    """A fresh broker, stopped at the end."""
    broker = bench.broker()
    try:
        yield broker
    finally:
        broker.stop()


@contextlib.contextmanager
def idle(bench: Bench, broker: BrokerProcess, count: int, first: int = 0) -> Iterator[float]:
    """So many connections with a subscription each; how many seconds it took to open them."""
    command = [*pinned(1), bench.mqload, "-p", str(broker.port), "-s", "idle", "-S", str(count), "-F", str(first)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        line = read_line(load.stdout)
        if not line:
            load.communicate()
            raise ConnectionError(f"not every one of {count} connections was accepted")
        yield float(json.loads(line)["seconds"])
        load.communicate()


def read_line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def connections(bench: Bench) -> Iterator[Figure]:
    """Memory and time of many connections that do nothing."""
    first, rest = bench.part(FIRST), bench.part(CONNECTIONS - FIRST)
    with running(bench) as broker, idle(bench, broker, first) as took_first:
        before = broker.rss()
        with idle(bench, broker, rest, first) as took:
            each = (broker.rss() - before) * 1024 / rest
            yield Figure("memory of an idle connection with one subscription, after the first 1,000", each, "B", 4096)
            yield Figure(f"{first + rest:,} connections opened, none failed, in", took_first + took, "s", 5.0)


def filters_of(number: int, count: int) -> list[bytes]:
    """The filters of one session, no two alike in the broker: half of them plain, half with a wildcard."""
    shapes = (b"site/%d/room/%d/temp", b"site/%d/+/%d/temp", b"site/%d/room/%d/state", b"plant/%d/%d/#")
    return [shapes[index % 4] % (number, index) for index in range(count)]


def matching(bench: Bench, broker: BrokerProcess, client: Client, salt: bytes) -> tuple[float, float]:
    """CPU time in microseconds of a message on a topic that is new to the broker, and on one that is not."""
    new: list[float] = []
    known: list[float] = []
    count = bench.part(TOPICS)
    for number in range(ROUNDS):
        topics = (b"site/%d/room/%s-%d-%d/temp" % (index % 10, salt, number, index) for index in range(count))
        messages = b"".join(publish(topic, b"x" * 16) for topic in topics)
        for costs in (new, known):
            before = broker.cpu()
            client.send(messages)
            client.ping()
            costs.append((broker.cpu() - before) / count * 1e6)
    return statistics.median(new), statistics.median(known)


def subscriptions(bench: Bench) -> Iterator[Figure]:
    """Memory of many subscriptions, and whether a message that they do not concern notices them."""
    each, sessions = SUBSCRIPTIONS // SESSIONS, bench.part(SESSIONS)
    with running(bench) as broker, contextlib.ExitStack() as stack:
        publisher = stack.enter_context(Client(broker.port, "publisher"))
        few = [stack.enter_context(Client(broker.port, f"few-{number}")) for number in range(10)]
        for number, client in enumerate(few):
            client.subscribe(filters_of(number, 4)[number % 4 : number % 4 + 1])
        little = matching(bench, broker, publisher, b"few")
        many = [stack.enter_context(Client(broker.port, f"c{number}")) for number in range(sessions)]
        for number, client in enumerate(many):
            client.subscribe(filters_of(number, each))
        total = each * sessions
        yield Figure(f"memory of all, {total:,} subscriptions of {sessions:,} sessions", broker.rss() / 1024, "MB", 600)
        much = matching(bench, broker, publisher, b"many")
    for what, low, high in (("new", little[0], much[0]), ("known", little[1], much[1])):
        yield Figure(f"message on a {what} topic, 10 subscriptions that do not match", low, "us")
        yield Figure(f"message on a {what} topic, {total:,} that do not match", high, "us")
        yield Figure(f"message on a {what} topic, ratio of the two", high / low, "", 1.5)


def fanout(bench: Bench) -> Iterator[Figure]:
    """A message to many: does a client beside them notice?"""
    subscribers, messages = bench.part(CONNECTIONS), bench.part(FANOUTS)
    for qos in (0, 1):
        with running(bench) as broker:
            command = [*pinned(1), bench.mqload, "-p", str(broker.port), "-s", "fanout", "-S", str(subscribers)]
            command += ["-n", str(messages), "-r", "3", "-q", str(qos), "-W"]
            with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
                with Beside(broker) as opening:
                    if not read_line(load.stdout):
                        raise ConnectionError("the subscribers of a fan-out were not accepted")
                with Beside(broker) as beside:
                    assert load.stdin is not None
                    load.stdin.write("\n")
                    load.stdin.flush()
                    said = json.loads(read_line(load.stdout))
                with Beside(broker) as closing:
                    load.communicate()
                    wait_until_alone(broker)
        if not qos:
            yield from opening.figures(f"{subscribers:,} connections that are opened", None)
            yield from closing.figures(f"{subscribers:,} connections that are closed", None)
        yield from beside.figures(f"{subscribers:,} subscribers that get a message of QoS {qos}")
        yield Figure(f"messages of QoS {qos} lost, of {said['expected']:,}", said["lost"], "", 0)


def wait_until_alone(broker: BrokerProcess) -> None:
    """Look until the broker has closed all connections but that of the client beside."""
    deadline = time.monotonic() + PATIENCE
    while connections_to(broker.port) > 1:
        if time.monotonic() > deadline:
            raise ConnectionError("the broker does not close the connections of those that left")
        time.sleep(LOOK)


def retained(bench: Bench) -> Iterator[Figure]:
    """Everything that is retained to one subscriber: does a client beside it notice?"""
    count = bench.part(RETAINED)
    packets = [publish(b"site/%03d/room/%04d/temp" % divmod(n, 1000), b"%07d" % n, retain=True) for n in range(count)]
    size = len(packets[0])  # they are all alike
    with running(bench) as broker, Client(broker.port, "publisher") as publisher:
        for start in range(0, count, 1000):
            publisher.send(b"".join(packets[start : start + 1000]))
            publisher.ping()
        yield Figure(f"memory of all, {count:,} retained messages", broker.rss() / 1024, "MB")
        with Client(broker.port, "subscriber") as subscriber, Beside(broker) as beside:
            began = time.perf_counter()
            subscriber.send(subscribe([b"#"]))
            if subscriber.receive().header != SUBACK:
                raise ConnectionError("SUBACK does not come before what is retained")
            data = bytearray()
            while len(data) < size * count:
                data += subscriber.more()
            took = time.perf_counter() - began
    got = {bytes(data[start : start + size]) for start in range(0, size * count, size)}
    yield from beside.figures(f"a subscription to {count:,} retained messages")
    yield Figure("retained messages that the subscriber did not get", len(set(packets) - got), "", 0)
    yield Figure("until it has them all", took, "s")


def flood(port: int, sent: list[int]) -> None:
    """Publish 1 KB messages, half of them QoS 1, as fast as the broker takes them, until it ends."""
    burst = publish(b"flood", b"x" * 1024) * 50
    burst += b"".join(publish(b"flood", b"x" * 1024, 1, packet_id=number + 1) for number in range(50))
    with contextlib.suppress(ConnectionError), Client(port, "flood") as client:
        while True:
            client.send(burst)
            for _ in range(50):
                client.expect(PUBACK)
            sent[0] += 100


def slow_readers(bench: Bench) -> Iterator[Figure]:
    """Clients that read nothing of what they are sent: does one beside them notice?"""
    sent = [0]
    with running(bench) as broker:
        with contextlib.ExitStack() as stack:
            for number in range(SLOW_READERS):
                stack.enter_context(Client(broker.port, f"slow-{number}")).subscribe([b"flood"], number % 2)
            with Beside(broker) as beside:
                publisher = threading.Thread(target=flood, args=(broker.port, sent))
                publisher.start()
                time.sleep(SECONDS / bench.divisor)  # as long as it is looked at
        yield from beside.figures(f"{SLOW_READERS} readers that read nothing")
        yield Figure("messages that were sent to each of them meanwhile", sent[0], "")
        yield Figure("memory of all after that", broker.rss() / 1024, "MB")
    publisher.join()


def at_rest(bench: Bench) -> Iterator[Figure]:
    """What the other pings are to be compared with."""
    with running(bench) as broker:
        with Beside(broker) as beside:
            time.sleep(SECONDS / bench.divisor)  # as long as it is looked at
        yield from beside.figures("nothing at all", None)


MEASUREMENTS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "connections": connections,
    "subscriptions": subscriptions,
    "at-rest": at_rest,
    "fanout": fanout,
    "retained": retained,
    "slow-readers": slow_readers,
}


def table(figures: list[Figure], is_markdown: bool) -> str:
    """A line for each figure."""
    rows = [("figure", "value", "bar", "met")]
    for figure in figures:
        bar = "" if figure.bar is None else f"{figure.bar:,.4g} {figure.unit}".strip()
        met = "" if figure.bar is None else "yes" if figure.is_met else "NO"
        number = f"{figure.value:,.0f}" if figure.value >= 100 or not figure.value % 1 else f"{figure.value:.3g}"
        rows.append((figure.what, f"{number} {figure.unit}".strip(), bar, met))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = [
        f"{row[0]:<{widths[0]}} | {row[1]:>{widths[1]}} | {row[2]:>{widths[2]}} | {row[3]:<{widths[3]}}" for row in rows
    ]
    if is_markdown:
        rule = f"{'-' * widths[0]} | {'-' * (widths[1] - 1)}: | {'-' * (widths[2] - 1)}: | {'-' * widths[3]}"
        lines = [f"| {line} |" for line in (lines[0], rule, *lines[1:])]
    return "\n".join(line.rstrip() for line in lines)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what many connections, subscriptions and messages cost.")
    parser.add_argument("--only", default="", help=f"some of {','.join(MEASUREMENTS)}, separated by commas (all)")
    parser.add_argument("--quick", action="store_true", help="a fiftieth of everything: does it all work?")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/performance.md")
    parser.add_argument("--json", default="", help="write all figures to this file")
    parser.add_argument("--check", action="store_true", help="exit code 1 when a bar is missed")
    parser.add_argument(
        "--bin", default=str(ROOT / ".venv" / "bin"), help="where python and its linnet are (.venv/bin)"
    )
    parser.add_argument("--build", default=str(ROOT / "build" / "bench"), help="where the C tools go (build/bench)")
    options = parser.parse_args()
    if unknown := [name for name in options.only.split(",") if options.only and name not in MEASUREMENTS]:
        parser.error(f"--only: no measurement {unknown[0]!r}; there are {', '.join(MEASUREMENTS)}")
    return options


def open_files(wanted: int) -> None:
    """Let this process and its children open so many files, or say that they cannot."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit(f"a process may open {hard} files here, and {wanted} are needed: see `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def main() -> int:
    options = parse()
    build_tools(Path(options.build))
    bench = Bench(
        Path(options.bin), str(Path(options.build).resolve() / "mqload"), QUICK_DIVISOR if options.quick else 1
    )
    open_files(bench.part(CONNECTIONS) + SESSIONS + SPARE_FILES)
    figures: list[Figure] = []
    for name in options.only.split(",") if options.only else MEASUREMENTS:
        print(name, file=sys.stderr)
        figures += MEASUREMENTS[name](bench)
    said: dict[str, Any] = {"load_average": os.getloadavg()[0], "figures": [asdict(figure) for figure in figures]}
    if options.json:
        Path(options.json).write_text(json.dumps(said, indent=1))
    print(table(figures, options.markdown))
    return 1 if options.check and not all(figure.is_met for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
