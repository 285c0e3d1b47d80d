"""What tests do in pages of a browser."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, Page, async_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
]
SCRIPT = Path(__file__).parent / "browser.js"


@contextlib.asynccontextmanager
async def launched_chromium(*flags: str) -> AsyncIterator[Browser]:
    """A real headless Chromium with fake camera and microphone, in the network namespace of this thread."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
        yield browser
        await browser.close()


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
