"""A full queue, and what becomes of the next message under three policies; and the numbers of a live broker."""

import asyncio

import linnet
from linnet import Properties, ReasonCode
from linnet.wire import V5, Connack, Connect, Puback, Publish, Suback, Subscribe, SubscriptionOptions, decode

SHOWN = ("clients", "sessions", "queued_messages", "in_flight", "limits")


class Client:
    """Just enough of a client of MQTT 5.0, since most libraries acknowledge whatever they get."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int, name: str, **properties: int) -> "Client":
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client.send(Connect(name, properties=Properties(**properties)))
        await client.receive(Connack)
        return client

    def send(self, packet: Connect | Publish | Puback | Subscribe) -> None:
        self.writer.write(packet.encode(V5))

    async def receive(self, kind: type) -> Connack | Publish | Puback | Suback:
        """The next packet, which is of this kind and shorter than 128 bytes."""
        start = await self.reader.readexactly(2)
        packet = decode(start + await self.reader.readexactly(start[1]), V5)
        assert isinstance(packet, kind), packet
        return packet

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


async def main() -> None:
    async with linnet.Broker(listen="127.0.0.1:0", max_queued_messages=1) as broker:
        print("no more than", broker.core.limits.max_connections, "clients may connect")
        slow = await Client.connect(broker.port, "slow", receive_maximum=1, session_expiry_interval=60)
        slow.send(Subscribe(1, [("news", SubscriptionOptions(qos=1))]))
        await slow.receive(Suback)

        publisher = await Client.connect(broker.port, "publisher")
        for number, policy in enumerate(("drop_newest", "drop_newest", "drop_newest", "drop_oldest", "hold"), 1):
            broker.reload(queue_policy=policy)
            publisher.send(Publish("news", b"%d" % number, 1, packet_id=number))
            if policy == "hold":
                break
            answer = await publisher.receive(Puback)
            print(f"message {number}, {policy}: {ReasonCode(answer.reason_code).name}")

        for _ in range(3):
            got = await slow.receive(Publish)
            print("the slow client gets message", got.payload.decode())
            slow.send(Puback(got.packet_id))
        answer = await publisher.receive(Puback)
        print(f"message {number}, held until there was room: {ReasonCode(answer.reason_code).name}")

        statistics = broker.statistics
        for name in SHOWN:
            print(f"{name}: {getattr(statistics, name)}")
        print("of the slow client were dropped:", broker.sessions["slow"].statistics.dropped_queue_full)
        print("bytes to all clients:", statistics.traffic.bytes_sent)
        await slow.close()
        await publisher.close()


if __name__ == "__main__":
    asyncio.run(main())
