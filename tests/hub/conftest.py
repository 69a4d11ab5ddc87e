"""The hub, and the world as it sees it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from sidecar.hub.hub import Hub
from tests.hub.client import meanwhile
from tests.hub.hand import Hand


@pytest.fixture
def hand() -> Hand:
    """Return the world as the hub sees it."""
    return Hand()


@pytest.fixture
async def hub(hand: Hand) -> AsyncIterator[Hub]:
    """Return a hub that listens."""
    hub = Hub(hand, hand, hand, hand, hand)
    async with meanwhile(hub.run()):
        await asyncio.wait_for(hub.until_listening(), 2)
        yield hub
