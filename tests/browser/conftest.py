"""A real headless Chromium for the tests of this folder: started once, on one event loop, for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser
from support.pages import launched_chromium

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all on the loop of the browser's driver."""
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def started_chromium() -> AsyncIterator[Browser]:
    """A browser with fake camera and microphone."""
    async with launched_chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def chromium(started_chromium: Browser) -> AsyncIterator[Browser]:
    """The browser without a page, and without what other tests left in it."""
    yield started_chromium
    for context in list(started_chromium.contexts):
        await context.close()
