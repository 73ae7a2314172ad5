"""Topic aliases: a number that stands for a topic name, for one direction of one connection [MQTT-3.3.2-7]."""

from linnet.errors import ProtocolError, ReasonCode


class IncomingAliases:
    """The aliases that the other side has set. At most `maximum` of them, as it was told in CONNACK or CONNECT."""

    __slots__ = ("maximum", "topics")

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum
        self.topics: dict[int, bytes] = {}

    def __repr__(self) -> str:
        return f"<IncomingAliases {len(self.topics)} of {self.maximum}>"

    def resolve(self, alias: int, topic_name: bytes) -> bytes:
        """The topic name meant by a PUBLISH with this alias; a topic name given with it replaces the old one.

        Raises ProtocolError: 0x94 for an alias out of range [MQTT-3.3.2-9], 0x82 for one that was never set.
        """
        if not 0 < alias <= self.maximum:
            raise ProtocolError(
                ReasonCode.TOPIC_ALIAS_INVALID,
                f"topic alias {alias}, {self.maximum} agreed",
                "MQTT-3.3.2-9",
                limit="topic_alias_maximum",
            )
        if topic_name:
            self.topics[alias] = topic_name
            return topic_name
        known = self.topics.get(alias)
        if known is None:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"topic alias {alias} was never set", "MQTT-3.3.2-12")
        return known


class OutgoingAliases:
    """The aliases that we set, by ourselves: when all are taken, the least recently used one gets the new topic."""

    __slots__ = ("maximum", "numbers")

    def __init__(self, maximum: int) -> None:
        self.maximum = maximum  # above 0
        self.numbers: dict[bytes, int] = {}  # the least recently used topic stands first

    def __repr__(self) -> str:
        return f"<OutgoingAliases {len(self.numbers)} of {self.maximum}>"

    def use(self, topic_name: bytes) -> tuple[int, bool]:
        """The alias for a topic, and whether the receiver knows it already [MQTT-3.3.2-10, MQTT-3.3.2-11]."""
        numbers = self.numbers
        number = numbers.pop(topic_name, 0)
        known = number > 0
        if not known:
            if len(numbers) < self.maximum:
                number = len(numbers) + 1
            else:
                number = numbers.pop(next(iter(numbers)))
        numbers[topic_name] = number
        return number, known

    def forget(self, topic_name: bytes) -> None:
        """Take back an alias whose packet was not sent, so that the receiver never hears of it without its topic.

        The number stays taken by a topic that nobody can publish to, until its turn comes to be used again.
        """
        number = self.numbers.pop(topic_name)
        self.numbers[b"#%d" % number] = number
