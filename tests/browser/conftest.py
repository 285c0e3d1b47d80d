"""A real headless Chromium for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser
from support.pages import launched_chromium


@pytest_asyncio.fixture
async def chromium() -> AsyncIterator[Browser]:
    """A browser with fake camera and microphone."""
    async with launched_chromium() as browser:
        yield browser
