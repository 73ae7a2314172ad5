"""Questions and answers: one answer to one question, and many answers to one question. This needs MQTT 5.0."""

import asyncio

import linnet
from linnet.testing import Broker


def make_shop(url: str, name: str, prices: dict[str, int]) -> linnet.Client:
    """A client that answers questions for prices."""
    shop = linnet.Client(url, client_id=name)

    @shop.route("shops/price", qos=1)
    async def price(message: linnet.Message[str], value: str) -> None:
        answer = {"shop": name, "price": prices.get(value)}
        await shop.reply(message, answer, codec=linnet.JSON)

    return shop


async def main() -> None:
    async with (
        Broker() as broker,
        make_shop(broker.url, "corner", {"tea": 3}),
        make_shop(broker.url, "market", {"tea": 2}),
        linnet.Client(broker.url) as client,
    ):
        answer = await client.request("shops/price", "tea", timeout=10)
        print("the first answer:", linnet.JSON.decode(answer.payload))

        async with client.requests("shops/price", "tea", answers=linnet.JSON) as answers:
            for _ in range(2):
                answer = await answers.get()
                print("one of all answers:", answer.value)


if __name__ == "__main__":
    asyncio.run(main())
