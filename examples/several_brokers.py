"""Several brokers in one process: each has its own port, sessions and messages, apart from the others."""

import asyncio

import linnet

KITCHENS = ("north", "south", "west")


async def main() -> None:
    brokers = {name: linnet.Broker(listen="127.0.0.1:0") for name in KITCHENS}
    for name, broker in brokers.items():
        await broker.start()
        await broker.publish("menu", f"soup of the {name}".encode(), retain=True)
    assert len({broker.port for broker in brokers.values()}) == len(KITCHENS)
    for name, broker in brokers.items():
        async with broker.subscribe("menu") as messages:
            menu = await anext(messages)
            print(f"the {name} kitchen, port {broker.port}: {menu.payload.decode()}")
    await linnet.stop_all()
    print("all are stopped")


if __name__ == "__main__":
    asyncio.run(main())
