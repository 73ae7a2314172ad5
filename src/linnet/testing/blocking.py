"""A broker for tests that are plain functions, on a thread and an event loop of its own. What has to wait, blocks.

    with BlockingBroker() as broker:
        ...                                                     # the program under test connects to broker.port
        order = broker.wait_for_message("orders/+", by="shop")

In a coroutine that would stop the event loop that the client under test runs on. There the same verbs are awaited:

        order = await broker.aio.wait_for_message("orders/+", by="shop")
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any, Self, TypeVar, Unpack

from linnet.core.ports import Hooks, Observer
from linnet.testing.bench import ANY_PORT
from linnet.testing.broker import KEPT, PATIENCE, Broker
from linnet.testing.record import Filters, Seen
from linnet.testing.verbs import Names, Verbs

T = TypeVar("T")


def refuse_in_a_coroutine() -> None:
    """Raise RuntimeError where blocking would stop an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("this would stop the event loop of your test: await the same verb of `.aio` instead")


class BlockingBroker(Verbs):
    """A broker on a thread of its own, for one test. `aio` is its other face: what blocks here is awaited there.

    Made like `Broker`.
    """

    def __init__(
        self,
        *,
        listen: str | None = ANY_PORT,
        packets_kept: int = KEPT,
        hooks: Hooks | None = None,
        observers: Sequence[Observer] = (),
        **settings: Any,
    ) -> None:
        self.aio = Broker(listen=listen, packets_kept=packets_kept, hooks=hooks, observers=observers, **settings)
        super().__init__(self.aio.bench)
        self._ready: Future[asyncio.Event] = Future()
        self._thread = Thread(target=self._run, name="linnet.testing", daemon=True)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _serve(self) -> None:
        async with self.aio:
            done = asyncio.Event()
            self._ready.set_result(done)
            await done.wait()

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._ready.result()
        except BaseException:
            self._thread.join()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.bench.loop.call_soon_threadsafe(self._ready.result().set)
        self._thread.join()

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Wait for what the broker's event loop does."""
        __tracebackhide__ = True
        try:
            refuse_in_a_coroutine()
            answer = asyncio.run_coroutine_threadsafe(coroutine, self.bench.loop)
        except BaseException:
            coroutine.close()
            raise
        try:
            return answer.result()
        except BaseException:
            answer.cancel()
            raise

    def stop(self, *, sessions: bool = True, goodbye: bool = False) -> None:
        """See `Broker.stop`."""
        self._wait(self.aio.stop(sessions=sessions, goodbye=goodbye))

    def start(self) -> None:
        """See `Broker.start`."""
        self._wait(self.aio.start())

    def restart(self, *, sessions: bool = True, goodbye: bool = False) -> None:
        """See `Broker.restart`."""
        self._wait(self.aio.restart(sessions=sessions, goodbye=goodbye))

    def wait_for(self, name: Names = None, *, timeout: float = PATIENCE, **filters: Unpack[Filters]) -> Seen:
        """See `Broker.wait_for`."""
        __tracebackhide__ = True
        return self._wait(self.aio.wait_for(name, timeout=timeout, **filters))

    def wait_for_message(
        self,
        topic: str = "#",
        payload: bytes | str | None = None,
        *,
        by: str | None = None,
        timeout: float = PATIENCE,
    ) -> Seen:
        """See `Broker.wait_for_message`."""
        __tracebackhide__ = True
        return self._wait(self.aio.wait_for_message(topic, payload, by=by, timeout=timeout))
