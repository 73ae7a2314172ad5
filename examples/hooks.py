"""Hooks: code of your own that is asked about each client, each subscription and each message.

This one admits the people it knows, lets them listen to everything but secrets, marks what they say with
their name, and refuses what is too long. The clients are played with the packets that the broker itself uses.
"""

import asyncio
from typing import Any

import linnet
from linnet import ApplicationMessage, ReasonCode
from linnet.wire import V5, Connect, Disconnect, Publish, Subscribe, SubscriptionOptions, decode

KNOWN = {"ann": b"apple", "ben": b"banana"}


class House(linnet.Hooks):
    """Who may come in, and what may be said here."""

    def admit(self, connect: Connect, peer: linnet.Peer) -> ReasonCode:
        expected = KNOWN.get(connect.user_name or "")
        if expected is None or connect.password != expected:
            return ReasonCode.BAD_USER_NAME_OR_PASSWORD
        return ReasonCode.SUCCESS

    async def subscribing(self, session: Any, name: str, options: SubscriptionOptions) -> int | ReasonCode:
        await asyncio.sleep(0)  # a coroutine may ask a database; only this client waits for the answer
        if name.startswith("secrets/"):
            return ReasonCode.NOT_AUTHORIZED
        return min(options.qos, 1)

    def publishing(self, session: Any, message: ApplicationMessage) -> ApplicationMessage | ReasonCode:
        if message.size() > 20:
            return ReasonCode.QUOTA_EXCEEDED
        words = session.user_name.encode() + b" says " + message.payload
        return ApplicationMessage(message.topic, words, message.qos, message.retain)


class Client:
    """Just enough of a client to show what the hooks do."""

    def __init__(self, port: int) -> None:
        self.port = port

    async def connect(self, user_name: str, password: bytes) -> Any:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return await self.ask(Connect(client_id=user_name, user_name=user_name, password=password))

    async def ask(self, request: Any) -> Any:
        self.writer.write(request.encode(V5))
        return await self.answer()

    async def answer(self) -> Any:
        start = await self.reader.readexactly(2)  # the packets of this example are all shorter than 128 bytes
        return decode(start + await self.reader.readexactly(start[1]), V5)

    async def leave(self) -> None:
        self.writer.write(Disconnect().encode(V5))
        self.writer.close()
        await self.writer.wait_closed()


def reason(code: int) -> str:
    return ReasonCode(code).name.lower().replace("_", " ")


async def main() -> None:
    async with linnet.Broker(listen="127.0.0.1:0", hooks=House()) as broker:
        stranger, ann = Client(broker.port), Client(broker.port)
        print("a stranger connects:", reason((await stranger.connect("eve", b"apple")).reason_code))
        stranger.writer.close()
        print("ann connects:", reason((await ann.connect("ann", b"apple")).reason_code))

        wanted = [("hall", SubscriptionOptions(qos=2)), ("secrets/#", SubscriptionOptions(qos=0))]
        granted = (await ann.ask(Subscribe(1, wanted))).reason_codes
        for (name, _), code in zip(wanted, granted, strict=True):
            print(f"ann subscribes to {name}:", reason(code))

        refused = await ann.ask(Publish("hall", b"a very long story indeed", qos=1, packet_id=2))
        print("ann tells a long story:", reason(refused.reason_code))
        heard = await ann.ask(Publish("hall", b"hello"))
        print("ann says hello, and hears:", heard.payload.decode())
        await ann.leave()


if __name__ == "__main__":
    asyncio.run(main())
