"""A store on disk: what was handed over without a connection goes out at the next start of the program."""

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory

import linnet
from linnet.testing import Broker


async def first_run(url: str, path: Path, broker: Broker) -> None:
    """The broker goes away, the program measures on, and ends."""
    async with linnet.Client(url, client_id="meter", store=linnet.DiskStore(path)) as client:
        await broker.stop()
        for watts in (1200, 1250, 1190):
            client.send("meter/power", watts, qos=1)
        print("handed over without a broker, and the program ends")


async def second_run(url: str, path: Path) -> None:
    """The same program, started again: it needs to do nothing but connect."""
    async with linnet.Client(url, client_id="meter", store=linnet.DiskStore(path)):
        print("started again")


async def main() -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "meter.db"
        async with Broker() as broker:
            await first_run(broker.url, path, broker)
            await broker.start()
            async with (
                linnet.Client(broker.url) as watcher,
                watcher.subscribe("meter/power", qos=1) as readings,
            ):
                await second_run(broker.url, path)
                for _ in range(3):
                    print("arrived:", (await readings.get()).payload.decode())


if __name__ == "__main__":
    asyncio.run(main())
