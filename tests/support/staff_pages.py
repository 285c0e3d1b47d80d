"""What the tests of the staff's pages share: a page that may not complain, pictures for people, and some halls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from playwright.async_api import Browser, Page

PHONE, OLD_PC = (360, 640), (1024, 768)


@contextlib.asynccontextmanager
async def opened(browser: Browser, url: str, size: tuple[int, int], *, allowed: str = "") -> AsyncIterator[Page]:
    """A page in a browser of its own, which reports no error but those that contain `allowed`."""
    context = await browser.new_context(viewport={"width": size[0], "height": size[1]})
    page = await context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(url)
    yield page
    assert [each for each in complaints if not allowed or allowed not in each] == []
    await context.close()


async def picture(page: Page, name: str) -> None:
    """Keep a picture for people where they asked for one."""
    if folder := os.environ.get("DIEMCAU_SCREENSHOTS"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def nameless(page: Page) -> list[str]:
    """What can be pressed or filled in and has no name for a screen reader."""
    found: list[str] = await page.evaluate(
        """[...document.querySelectorAll("input, select, button, video, a")]
            .filter((each) => each.checkVisibility())
            .filter((each) => !(each.labels?.length || each.textContent.trim() || each.ariaLabel))
            .map((each) => each.outerHTML)"""
    )
    return found


async def wider_than_screen(page: Page) -> list[str]:
    """What makes somebody scroll sideways."""
    found: list[str] = await page.evaluate(
        """[...document.querySelectorAll("body *")]
            .filter((each) => each.checkVisibility() && each.getBoundingClientRect().right > innerWidth + 1)
            .map((each) => each.outerHTML.slice(0, 120))"""
    )
    return found
