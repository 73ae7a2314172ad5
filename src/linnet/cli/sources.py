"""Where the messages come from that are published: the command line, a file, or standard input whole or in lines."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from linnet.cli.asked import Asked, UsageError
from linnet.cli.checks import topic_name
from linnet.cli.grammar import Act, Option, Words

CHUNK = 1 << 16  # bytes
LONGEST = 268_435_455  # bytes, of a packet


def _source(name: str, to: str = "") -> Act:
    def act(asked: Asked, words: Words) -> None:
        if asked.source and not asked.source_is_default:
            raise UsageError(f"{words.option}: only one kind of message can be sent at once")
        asked.source, asked.source_is_default = name, False
        if to:
            setattr(asked, to, words.take())

    return act


def _topic(asked: Asked, words: Words) -> None:
    asked.topic = topic_name(words.option, words.take("topic"))


TOPIC = Option(("-t", "--topic"), _topic, "TOPIC", "where to publish")
SINGLE = (
    Option(("-m", "--message"), _source("message", "message"), "TEXT", "publish this text"),
    Option(("-f", "--file"), _source("file", "file"), "FILE", "publish what is in this file", completes="file"),
    Option(("-s", "--stdin-file"), _source("stdin"), "", "publish what standard input has, as one message"),
    Option(("-n", "--null-message"), _source("nothing"), "", "publish a message without a payload"),
)
LINES = (
    Option(("-l", "--stdin-line"), _source("lines"), "", "publish every line of standard input as a message"),
    Option(("--json",), _source("json"), "", "publish every line of standard input as sub --json prints them"),
)


def payload_of(asked: Asked) -> bytes:
    """The payload of a single message; raises UsageError and OSError."""
    payload = b""
    if asked.source == "message":
        payload = asked.message.encode(errors="surrogateescape")
    elif asked.source == "file":
        payload = Path(asked.file).read_bytes()
    elif asked.source == "stdin":
        payload = sys.stdin.buffer.read()
        if not payload:
            raise UsageError("-s: there is nothing in standard input; -n sends an empty message")
    if len(payload) > LONGEST:
        raise UsageError(f"{len(payload)} bytes are more than fit into a message")
    return payload


def input_size() -> int | None:
    """Bytes that standard input has, if it is a file."""
    try:
        size = os.fstat(sys.stdin.fileno()).st_size
    except (OSError, ValueError, AttributeError):
        return None
    return size or None


async def lines_of(stream: IO[bytes]) -> AsyncIterator[list[bytes]]:
    """The lines of a stream without their ends, as many at a time as are there; the last one may have no end.

    A thread reads, for a stream may keep it waiting; it ends with the program, whatever it waits for. So it reads below
    the buffer of Python, whose lock it would keep.
    """
    loop = asyncio.get_running_loop()
    chunks: asyncio.Queue[bytes | OSError] = asyncio.Queue(2)
    threading.Thread(target=_read, args=(stream, chunks, loop), name="linnet-input", daemon=True).start()
    rest: list[bytes] = []
    while True:
        chunk = await chunks.get()
        if isinstance(chunk, OSError):
            raise chunk
        if not chunk:
            break
        if b"\n" not in chunk:
            rest.append(chunk)
            continue
        whole, _, tail = chunk.rpartition(b"\n")
        yield b"".join([*rest, whole]).split(b"\n")
        rest = [tail]
    if last := b"".join(rest):
        yield [last]


def _read(stream: IO[bytes], chunks: asyncio.Queue[bytes | OSError], loop: asyncio.AbstractEventLoop) -> None:
    read = getattr(stream, "raw", stream).read
    chunk: bytes | OSError = b" "
    while chunk and not isinstance(chunk, OSError):
        try:
            chunk = read(CHUNK)
        except OSError as error:
            chunk = error
        except ValueError:  # it was closed
            chunk = b""
        handing = chunks.put(chunk)
        try:
            asyncio.run_coroutine_threadsafe(handing, loop).result()
        except (RuntimeError, asyncio.CancelledError):  # nobody wants it any more
            handing.close()
            return
