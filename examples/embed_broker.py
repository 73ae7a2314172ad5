"""A broker inside a program: started on a free port, spoken to without a socket, and stopped again."""

import asyncio

import linnet


async def main() -> None:
    async with linnet.Broker(listen="127.0.0.1:0") as broker:
        print("MQTT clients are welcome on port", broker.port)
        await broker.publish("garden/pond", b"still water", retain=True)
        async with broker.subscribe("garden/#", qos=1) as messages:
            kept = await anext(messages)
            print(f"kept for whoever comes: {kept.topic} = {kept.payload.decode()}")
            for degrees in (17, 18):
                await broker.publish("garden/shed", b"%d degrees" % degrees, qos=1)
                news = await anext(messages)
                print(f"and what comes later: {news.topic} = {news.payload.decode()}")
    print("stopped")


if __name__ == "__main__":
    asyncio.run(main())
