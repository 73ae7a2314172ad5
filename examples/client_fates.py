"""The one truth about each message: acknowledged, refused, withdrawn or not delivered, whatever the connection does."""

import asyncio

import linnet
from linnet.testing import Broker


async def main() -> None:
    async with Broker() as broker:
        broker.deny("secret/#")
        again = linnet.Reconnect(first=0.01, ceiling=0.1)
        async with linnet.Client(broker.url, client_id="teller", reconnect=again, close_timeout=0.1) as client:
            print("acknowledged:", (await client.publish("open/news", "hello", qos=1)).name)

            try:
                await client.publish("secret/news", "psst", qos=1)
            except linnet.PublishRejected as refused:
                print("rejected:", refused)

            broker.drop("PUBACK", to="teller", count=1)  # this acknowledgement gets lost, and then the connection
            publication = client.send("open/news", "hello again", qos=1)
            await broker.wait_for("PUBLISH", by="teller", where=lambda seen: seen.payload == b"hello again")
            print("still on its way:", publication.state)
            broker.cut("teller")
            await publication
            print("after the connection came back:", publication.state)

            gone = asyncio.Event()
            client.on(linnet.Disconnected)(lambda event: gone.set())
            await broker.stop()
            await gone.wait()
            publication = client.send("open/news", "never mind", qos=1)
            print("taken back:", publication.cancel(), publication.state)

            publication = client.send("open/news", "too late", qos=1)
        try:
            await publication
        except linnet.NotDelivered as lost:
            print("not delivered:", lost)


if __name__ == "__main__":
    asyncio.run(main())
