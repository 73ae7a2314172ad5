"""`linnet serve`: run a broker until a signal asks it to stop."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from linnet.cli import common
from linnet.cli.hangup import Hangups
from linnet.errors import SettingsError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from linnet.server import Broker
    from linnet.settings import Settings


def add_to(verbs: Any) -> None:
    """Make `serve` one of the verbs."""
    verb: ArgumentParser = verbs.add_parser("serve", help="run a broker", description=__doc__, allow_abbrev=False)
    common.add_settings_options(verb)
    verb.set_defaults(run=run)


def run(arguments: Namespace) -> int:
    """Run a broker on the event loop that the settings choose."""
    hangups = Hangups()
    settings = _settings(arguments)

    import asyncio

    from linnet.cli import logs
    from linnet.net.descriptors import raise_limit

    logs.configure(settings.log_level, settings.log_format)
    raise_limit()
    with asyncio.Runner(loop_factory=_loop_factory(settings.event_loop)) as runner:
        return runner.run(_serve(settings, hangups, lambda: _settings(arguments)))


def _settings(arguments: Namespace) -> Settings:
    """The settings that `serve` can use; raises SettingsError."""
    settings = common.settings_in_force(arguments)
    event_loop(settings.event_loop)
    return settings


def uvloop_is_installed() -> bool:
    """Whether uvloop can be imported, without importing it."""
    return find_spec("uvloop") is not None


def event_loop(wanted: str) -> str:
    """The event loop that the setting names; raises SettingsError when it is not installed."""
    if wanted == "uvloop" and not uvloop_is_installed():
        raise SettingsError('event_loop = "uvloop": uvloop is not installed; allowed is "asyncio"')
    return wanted


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "uvloop":
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    from linnet.net.loop import new_event_loop

    return new_event_loop


async def _serve(settings: Settings, hangups: Hangups, load: Callable[[], Settings]) -> int:
    import asyncio

    from linnet.server import Broker

    loop = asyncio.get_running_loop()
    stop_wanted = _stop_on_signals()
    broker = Broker(settings)

    def hung_up() -> None:
        if stop_wanted.done():
            return
        if hangups.lost_terminal():
            stop_wanted.set_result("the terminal is closed")
        else:
            reload(broker, load)

    hangups.call(lambda: loop.call_soon_threadsafe(hung_up))
    try:
        return await _run(broker, stop_wanted)
    finally:
        hangups.ignore()


async def _run(broker: Broker, stop_wanted: asyncio.Future[str]) -> int:
    import asyncio
    import logging

    from linnet.cli.collector import Collector

    logger = logging.getLogger("linnet.connections")
    settings = broker.settings
    collector = Collector(asyncio.get_running_loop())
    collector.start()
    try:
        await broker.start()
    except OSError as error:
        print(f"linnet: cannot listen on {error.filename or settings.listen[0]}: {reason(error)}", file=sys.stderr)
        return 1
    try:
        _announce(broker, settings.event_loop)
        why = await stop_wanted
        count, seconds = broker.statistics.clients, broker.settings.stop_timeout
        text = "%s: the broker stops; its clients (%d) have %g s to take what is left"
        logger.info(text, why, count, seconds, extra={"event": "stopping", "clients": count})
    finally:
        await broker.stop()
    return 0


def reload(broker: Broker, load: Callable[[], Settings]) -> None:
    """Let the broker take over what the sources of its settings say now, and log what came of it."""
    import logging

    from linnet.cli import logs

    logger = logging.getLogger("linnet.settings")
    try:
        settings = load()
    except SettingsError as error:
        for fault in str(error).splitlines():
            logger.error("not reloaded, nothing changes: %s", fault, extra={"event": "not_reloaded"})
        return
    logs.configure(settings.log_level, settings.log_format)
    changes = broker.reload(settings)
    for name, line in zip(changes.changed, changes.changed_lines(), strict=True):
        logger.info("%s", line, extra={"event": "changed", "setting": name})
    for name, line in zip(changes.needs_restart, changes.restart_lines(), strict=True):
        logger.warning("%s", line, extra={"event": "needs_restart", "setting": name})
    if not any(changes):
        logger.info("reloaded: nothing changed", extra={"event": "nothing_changed"})


def _stop_on_signals() -> asyncio.Future[str]:
    """What the first SIGINT or SIGTERM gives its name; the second one ends the process at once."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()
    wanted: asyncio.Future[str] = loop.create_future()
    signals = (signal.SIGINT, signal.SIGTERM)

    def stop(number: signal.Signals) -> None:
        if not wanted.done():
            wanted.set_result(number.name)
        for one in signals:
            loop.remove_signal_handler(one)
            signal.signal(one, signal.SIG_DFL)

    for one in signals:
        loop.add_signal_handler(one, stop, one)
    return wanted


def _announce(broker: Broker, loop_name: str) -> None:
    import linnet

    form = "compiled" if linnet.compiled else "interpreted"
    urls = " ".join(f"mqtt://{_bracketed(host)}:{port}" for host, port in broker.addresses)
    print(f"linnet {linnet.__version__} listening on {urls} ({form}, {loop_name})")
    host, port = broker.addresses[0]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    print(f"try: mosquitto_sub -h {reachable} -p {port} -t '#' -v", flush=True)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def reason(error: OSError) -> str:
    """Why a socket could not be opened, in few words."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return (error.strerror or str(error)).lower()  # a name that could not be resolved has a negative number
