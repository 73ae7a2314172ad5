"""A program that publishes through a store on disk, and is killed: `python publisher.py URL STORE QOS FIRST`.

Without FIRST it publishes nothing, and ends when everything is acknowledged that the program before it had left. It
says a number when the message was handed over and a turn of the loop has ended, which is when the store has it.
"""

from __future__ import annotations

import asyncio
import sys

from linnet import Client, DiskStore, Offline, Reconnect

BURST = 20


async def main(url: str, path: str, qos: int, first: int | None) -> None:
    reconnect = Reconnect(first=0.01, ceiling=0.05)
    client = Client(url, client_id="program", store=DiskStore(path), reconnect=reconnect, offline=Offline())
    async with client:
        print("connected", flush=True)
        number = first
        while number is not None:
            for _ in range(BURST):
                client.send("a", b"%d" % number, qos=qos)
                number += 1
            await asyncio.sleep(0)
            print(number - 1, flush=True)
            await asyncio.sleep(0.001)


if __name__ == "__main__":
    url, path, qos, *rest = sys.argv[1:]
    asyncio.run(main(url, path, int(qos), int(rest[0]) if rest else None))
