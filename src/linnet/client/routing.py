"""Routing: who gets a message, looked up once for each topic or Subscription Identifier, and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Route = tuple[Any, ...]  # who gets a message: objects with `put`

MOST_ROUTES = 10_000  # that are remembered


class Routes:
    """Who gets which messages, as far as it was looked up before."""

    __slots__ = ("by_identifiers", "by_topic", "look_up")

    def __init__(self, look_up: Callable[[Any], Route]) -> None:
        self.by_identifiers: dict[bytes, Route] = {}  # by the identifiers alone, where they suffice
        self.by_topic: dict[tuple[bytes, bytes], Route] = {}  # by identifiers and topic
        self.look_up = look_up  # who knows, and calls `remember`

    def __repr__(self) -> str:
        return f"<Routes: {len(self.by_identifiers)} by identifiers, {len(self.by_topic)} by topic>"

    def find(self, message: Any) -> Route:
        """Who wants a message."""
        route = self.by_identifiers.get(message.identifiers)
        if route is None:
            route = self.by_topic.get((message.identifiers, message.topic_name))
            if route is None or message.retain:
                route = self.look_up(message)
        return route

    def remember(self, message: Any, route: Route, is_simple: bool) -> None:
        """Keep what was found, for the next message of the kind."""
        if len(self.by_topic) >= MOST_ROUTES or len(self.by_identifiers) >= MOST_ROUTES:
            self.forget()
        if is_simple:
            self.by_identifiers[message.identifiers] = route
        elif not message.retain:
            self.by_topic[message.identifiers, message.topic_name] = route

    def forget(self) -> None:
        """Subscriptions have changed."""
        self.by_identifiers.clear()
        self.by_topic.clear()
