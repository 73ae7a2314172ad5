"""What can go wrong for a client's program. Each says what happened, and what became of what was asked for."""

from __future__ import annotations

from linnet.errors import LinnetError, reason_name


class Refused(LinnetError):
    """The server has said no: `reason_code`, and in `reason_string` what it had to say about it."""

    def __init__(self, what: str, reason_code: int, reason_string: str = "") -> None:
        super().__init__(what, reason_code, reason_string)
        self.what = what
        self.reason_code = reason_code
        self.reason_string = reason_string

    def __str__(self) -> str:
        code = f"0x{self.reason_code:02X} {reason_name(self.reason_code)}"
        if f"({code})" in self.reason_string:  # it says so already
            return f"{self.what}: {self.reason_string}"
        return f"{self.what}: {code}" + (f": {self.reason_string}" if self.reason_string else "")


class ConnectRejected(Refused):
    """The server has refused CONNECT, or ended the connection for good."""


class PublishRejected(Refused):
    """The server has refused a message: nobody gets it, and it will not be sent again."""


class SubscribeRejected(Refused):
    """The server has refused to subscribe to `filter`."""

    def __init__(self, what: str, reason_code: int, reason_string: str = "", filter: str = "") -> None:
        super().__init__(what, reason_code, reason_string)
        self.filter = filter


class NotDelivered(LinnetError):
    """A message will not go out any more, and nobody has acknowledged it.

    `sent` tells whether it was written to a connection: then the server may have got it or not, and nobody knows.
    """

    def __init__(self, why: str, sent: bool) -> None:
        super().__init__(why, sent)
        self.why = why
        self.sent = sent

    def __str__(self) -> str:
        return f"{self.why}: " + ("it was sent, and may have arrived" if self.sent else "it was never sent")


class Kept(LinnetError):
    """The client was closed before a message was acknowledged; it is in the store, and goes out at the next start."""


class QueueFull(LinnetError):
    """As many messages wait as may wait, so this one was not taken."""


class ConnectionLost(LinnetError, ConnectionError):
    """There is no connection any more, and none will be opened."""


class Closed(LinnetError):
    """The client, or the subscription, is closed."""


class RequestTimeout(LinnetError, TimeoutError):
    """Nobody has answered in time."""
