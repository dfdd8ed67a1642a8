"""A running app on a real port, and a real browser."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, Page, async_playwright

from deploy.local.ports import LOOPBACK, free_port
from tests.running import eventually

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
IN_CI = os.environ.get("CI", "") not in ("", "0", "false")
WHY_NOT = "no Chromium here: install it (Debian: apt-get install chromium fonts-noto-cjk) or name it in CHROMIUM"


def need_chromium() -> None:
    """Fail in CI and skip elsewhere where there is no browser."""
    if CHROMIUM:
        return
    if IN_CI:
        pytest.fail(WHY_NOT)
    pytest.skip(WHY_NOT)


@asynccontextmanager
async def served(app: FastAPI, port: int | None = None) -> AsyncIterator[str]:
    """Serve the app on a port of its own and yield its address; the caller runs its lifespan."""
    port = port or free_port()
    config = uvicorn.Config(app, host=LOOPBACK, port=port, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def up() -> bool:
        return server.started

    await eventually(up, "the port is open")
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    need_chromium()
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*sandbox, "--disable-dev-shm-usage", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            await browser.close()


async def see(page: Page, address: str) -> None:
    """Open a page and require status 200."""
    answer = await page.goto(address)
    assert answer, address
    assert answer.status == 200, f"{answer.status} at {address}: {await answer.text()}"


PICTURES = os.environ.get("PICTURES")


async def picture(page: Page, name: str) -> None:
    """Save a picture of the whole page if PICTURES=<folder> is set."""
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
