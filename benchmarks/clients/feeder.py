"""Publishes as many messages as each line of its standard input says: `feeder.py PORT QOS`.

The packets are made ahead. At QoS 1 as many go at once as a broker takes without acknowledging them.
"""

import sys
from pathlib import Path

from meter import PAYLOAD, TOPIC, WINDOW

sys.path.append(str(Path(__file__).resolve().parents[1]))
from client import Client, publish

PUBACK_BYTES = 4  # of MQTT 3.1.1
CHUNK = 1000  # messages of QoS 0 in one write


def feed_qos0(client: Client, count: int) -> None:
    message = publish(TOPIC.encode(), PAYLOAD)
    chunk = message * CHUNK
    for _ in range(count // CHUNK):
        client.send(chunk)
    client.send(message * (count % CHUNK))


def feed_qos1(client: Client, count: int) -> None:
    messages = [publish(TOPIC.encode(), PAYLOAD, 1, packet_id=number + 1) for number in range(WINDOW)]
    burst = b"".join(messages)
    for start in range(0, count, WINDOW):
        number = min(WINDOW, count - start)
        client.send(burst if number == WINDOW else b"".join(messages[:number]))
        missing = number * PUBACK_BYTES
        while missing:
            missing -= len(client.more())


def main() -> None:
    port, qos = (int(word) for word in sys.argv[1:])
    with Client(port, "feeder") as client:
        print("ready", flush=True)
        for line in sys.stdin:
            (feed_qos1 if qos else feed_qos0)(client, int(line))


if __name__ == "__main__":
    main()
