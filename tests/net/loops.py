"""Running a test's coroutine on an event loop of the test's choice, and making sure that nothing of it is left."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Coroutine
from typing import Any

from linnet.net.loop import TurnLoop

Story = Callable[[], Coroutine[Any, Any, None]]
LoopFactory = Callable[[], asyncio.AbstractEventLoop]

BOUND = 10.0  # seconds; whatever takes so long hangs


def run_on(factory: LoopFactory, story: Story) -> list[dict[str, Any]]:
    """Run a story; what its loop's exception handler was told. What is left open becomes a warning, and so a fault."""
    told: list[dict[str, Any]] = []

    async def bounded() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        async with asyncio.timeout(BOUND):
            await story()

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(bounded())
    gc.collect()
    return told


def on_turns(story: Story) -> None:
    """Run a story on a TurnLoop, whose exception handler has nothing to do."""
    assert run_on(TurnLoop, story) == []


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go round until something is so."""
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)
