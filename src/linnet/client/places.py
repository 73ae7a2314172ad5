"""Places: the addresses of a client's servers, and the order in which they are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from linnet.client.address import Address, AddressError, parse_addresses
from linnet.client.events import Events, Moved
from linnet.wire.version import Version

MOST_MOVES = 5  # from one server to the next without a connection, before the client goes back to what it was told


class Places:
    """Where to connect to. The one that worked last is tried first, then the others in their order."""

    __slots__ = ("addresses", "events", "moves", "next", "redirected", "versions")

    def __init__(self, addresses: Sequence[Address], events: Events) -> None:
        self.addresses = list(addresses)
        self.events = events
        self.next = 0  # the index of the one to begin with
        self.redirected: list[Address] = []  # where a server has sent us
        self.moves = 0
        self.versions: dict[Address, Version] = {}  # of servers that do not know the newest

    def __repr__(self) -> str:
        return f"<Places {', '.join(map(str, self.redirected or self.addresses))}>"

    @property
    def is_redirected(self) -> bool:
        """Whether a server has named another one that was not tried yet."""
        return bool(self.redirected)

    def turn(self) -> list[Address]:
        """Those to be tried now, in this order."""
        redirected = self.redirected
        self.redirected = []
        return [*redirected, *self.addresses[self.next :], *self.addresses[: self.next]]

    def found(self, address: Address) -> None:
        """This one has accepted us."""
        if address in self.addresses:
            self.next = self.addresses.index(address)

    def move(self, reference: str | None, permanently: bool, here: Address) -> None:
        """A server wants us to use another one: HOST[:PORT] or URLs, separated by spaces [MQTT-4.11.0-1].

        `here` is the server that says so. Names without a scheme are reached as it was, and TLS is never left.
        """
        if not reference:
            return
        self.moves += 1
        if self.moves > MOST_MOVES:
            self.moves = 0  # a pause, and then from the beginning
            return
        found = []
        for place in reference.split():
            try:
                named = parse_addresses(place if "://" in place else f"{here.scheme}://{place}")
            except AddressError:
                continue
            found += [
                replace(one, user_name=here.user_name, password=here.password)
                for one in named
                if one.is_tls or not here.is_tls
            ]
        if not found:
            return
        self.events.tell(Moved(reference, permanently))
        self.redirected = found
        if permanently:
            self.addresses = [*found, *(one for one in self.addresses if one not in found)]
            self.next = 0
