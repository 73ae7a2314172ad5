"""What the proofs share: servers with one face, and links that can be cut."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.proof.servers import SERVERS, Server

MakeServer = Callable[..., Awaitable[Server]]


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.interop) for name in SERVERS])
async def make_server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MakeServer]:
    """Starts a server with the settings given, of one make and then of the other."""
    opened: list[Server] = []

    async def make(**settings: Any) -> Server:
        server = SERVERS[request.param](tmp_path)
        opened.append(server)
        await server.open(settings)
        return server

    yield make
    for server in opened:
        await server.close()


@pytest.fixture
async def server(make_server: MakeServer) -> Server:
    """A server with its own defaults."""
    return await make_server()
