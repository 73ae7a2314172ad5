"""A connected TCP socket, from the name of a host.

A host may have several addresses, of two families, some of which may not answer: each is tried a moment after the one
before, beside it, and the first to answer wins (RFC 8305). Some event loops can do the like by themselves; but when
they are cancelled at the wrong moment a socket is lost. Here every socket has an owner until it is handed on.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections import Counter
from typing import Any

NEXT_DELAY = 0.25  # seconds before the next address is tried beside the one before

Info = tuple[Any, Any, int, str, Any]  # one of what getaddrinfo finds


async def connected(host: str, port: int) -> socket.socket:
    """A non-blocking socket connected with the first address of the host that answers. Raises OSError if none does."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "it is no name that a host could have") from error
    waiting = interleaved(found)
    attempts: dict[asyncio.Task[None], socket.socket] = {}
    refusals: list[OSError] = []
    try:
        while waiting or attempts:
            if waiting:
                family, kind, number, _, place = waiting.pop(0)
                try:
                    sock = socket.socket(family, kind, number)
                except OSError as error:  # a family that this machine does not have
                    refusals.append(error)
                    continue
                sock.setblocking(False)
                attempts[loop.create_task(attempt(loop, sock, place))] = sock
            winner = await first(attempts, refusals, NEXT_DELAY if waiting else None)
            if winner is not None:
                return winner
    finally:
        await give_up(attempts)
    raise joined(refusals)


def interleaved(found: list[Info]) -> list[Info]:
    """The addresses in their order, but of each family in turn."""
    seen: Counter[int] = Counter()
    rounds = []
    for info in found:
        rounds.append(seen[info[0]])
        seen[info[0]] += 1
    return [info for _, info in sorted(zip(rounds, found, strict=True), key=lambda pair: pair[0])]


async def attempt(loop: asyncio.AbstractEventLoop, sock: socket.socket, place: Any) -> None:
    """Try one address."""
    await loop.sock_connect(sock, place)


async def first(
    attempts: dict[asyncio.Task[None], socket.socket], refusals: list[OSError], delay: float | None
) -> socket.socket | None:
    """Wait until an attempt ends, or for so many seconds; the socket that was connected, if one was."""
    done, _ = await asyncio.wait(attempts, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        error = task.exception()
        if error is None:
            return attempts.pop(task)
        attempts.pop(task).close()
        if not isinstance(error, OSError):
            raise error
        refusals.append(error)
    return None


async def give_up(attempts: dict[asyncio.Task[None], socket.socket]) -> None:
    """Nothing is left of attempts that have not won."""
    try:
        for task in attempts:
            task.cancel()
        if attempts:
            await asyncio.wait(attempts)
    finally:
        for sock in attempts.values():
            sock.close()


def joined(refusals: list[OSError]) -> OSError:
    """One error for those of all addresses."""
    reasons = dict.fromkeys(meaning(error) for error in refusals)
    if len(reasons) == 1:
        return refusals[0]
    return ConnectionError(", ".join(reasons) or "the host's name stands for no address")


def meaning(error: OSError) -> str:
    """The system's words for an error, in small letters and without addresses."""
    if isinstance(error, socket.gaierror):
        return f"the host's name cannot be looked up: {error.strerror}"
    if error.errno is None or error.errno not in errno.errorcode:
        return error.strerror or str(error)
    words = os.strerror(error.errno).lower()
    return f"{words}; does anything listen there?" if isinstance(error, ConnectionRefusedError) else words
