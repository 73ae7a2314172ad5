"""What every client program does: it is told what to do on its command line, and says what that cost.

`use_X.py ROW PORT VERSION WARM MESSAGES` does it once for nothing, so that the interpreter has warmed up, and once more
for the figures, which it prints as JSON: the CPU time of the process and the time that passed, both in seconds. When it
is to receive, it says "next" each time that it is ready, for the messages to be sent.
"""

import json
import resource
import sys
from time import perf_counter
from typing import NamedTuple

WINDOW = 100  # messages of QoS 1 that are not acknowledged yet, at most
TOPIC = "bench/room/temperature"
PAYLOAD = b"x" * 64


class Task(NamedTuple):
    """What is to be measured."""

    row: str  # "publish" and "receive" with the QoS behind, or "single": QoS 1, each message awaited
    port: int
    is_v5: bool
    warm: int
    messages: int

    @property
    def is_receiving(self) -> bool:
        return self.row.startswith("receive")

    @property
    def is_single(self) -> bool:
        return self.row == "single"

    @property
    def qos(self) -> int:
        return 1 if self.is_single else int(self.row[-1])


def task() -> Task:
    """What the command line says."""
    row, port, version, warm, messages = sys.argv[1:]
    return Task(row, int(port), version == "5.0", int(warm), int(messages))


def say(word: str) -> None:
    """Tell those who started this process."""
    print(word, flush=True)


def cpu_seconds() -> float:
    """User and system time of this process so far, all threads together."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Meter:
    """Measures from where it is made to `stop`."""

    def __init__(self) -> None:
        self.began = perf_counter()
        self.used = cpu_seconds()

    def stop(self) -> None:
        used = cpu_seconds() - self.used
        say(json.dumps({"cpu": used, "seconds": perf_counter() - self.began}))
