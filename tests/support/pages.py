"""What tests do in pages of a browser."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from playwright.async_api import Browser, Page

SCRIPT = Path(__file__).parent / "browser.js"


async def open_page(browser: Browser, url: str) -> Page:
    """A page of a secure origin (loopback) that can publish and play, see `browser.js`."""
    page = await browser.new_page()
    await page.goto(f"{url}/healthz")
    await page.add_script_tag(path=SCRIPT)
    return page


async def until_in_hall(page: Page, condition: str, timeout_s: float = 20) -> None:
    """Wait for a condition in a hall's page, and tell its state where it does not come.

    The page's security policy forbids evaluating text, which the browser driver's own way of waiting does.
    """
    deadline = time.monotonic() + timeout_s
    while not await page.evaluate(condition):
        if time.monotonic() > deadline:
            shown = await page.evaluate("JSON.stringify({...diemcau, frames: diemcau.framesDecoded()})")
            raise AssertionError(f"{condition} did not come true: {shown}")
        await asyncio.sleep(0.05)
