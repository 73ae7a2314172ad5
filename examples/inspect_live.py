"""Looking at live objects: each has a readable repr, and `linnet.describe` turns it into plain data."""

import asyncio
import json

import linnet
from linnet.wire import V5, Connect, Subscribe, SubscriptionOptions


async def main() -> None:
    async with linnet.Broker(listen="127.0.0.1:0") as broker:
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        wanted = Subscribe(1, [("garden/#", SubscriptionOptions(qos=1))])
        writer.write(Connect(client_id="gardener", keep_alive=30).encode(V5) + wanted.encode(V5))
        await reader.readuntil(b"\x90\x04\x00\x01\x00\x01")  # SUBACK for packet 1, which grants QoS 1
        print(broker)
        for session in broker.sessions.values():
            print(session)
        for connection in broker.connections:
            print(connection)
        print(json.dumps(linnet.describe(broker.sessions["gardener"]), indent=2, default=str))
        writer.close()
        await writer.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
