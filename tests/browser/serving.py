"""A running app on a real port, and a real browser."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.async_api import Browser, Page, async_playwright

from deploy.local.managed_process import ManagedProcess
from deploy.local.paths import LOGS, run_folder
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import answers_ok
from deploy.local.shared_servers import shared_server
from tests.running import eventually

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser") or ""
IN_CI = os.environ.get("CI", "") not in ("", "0", "false")
CHROMIUM_START_SECONDS = 60.0
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


@contextmanager
def chromium_server() -> Iterator[str]:
    """Run one Chromium for the whole test run; yield the address that clients connect to.

    A Chromium for each test took as much CPU time as the tests.
    """
    port = free_port()
    sandbox = [] if os.geteuid() else ["--no-sandbox"]
    with run_folder("chromium") as profile:
        command = [
            CHROMIUM, "--headless=new", f"--remote-debugging-port={port}", f"--user-data-dir={profile}", *sandbox,
            "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--hide-scrollbars", "--mute-audio",
            "--disable-background-networking", "--disable-extensions", "--disable-sync", "about:blank",
        ]  # fmt: skip
        process = ManagedProcess("chromium", command, log=LOGS / "chromium.log")
        process.start()
        try:
            address = f"http://{LOOPBACK}:{port}"
            process.wait_until(lambda: answers_ok(f"{address}/json/version"), CHROMIUM_START_SECONDS)
            yield address
        finally:
            process.stop()


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Connect to the Chromium of the run; each test opens a context of its own, as in a private window."""
    need_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect_over_cdp(shared_server("chromium"))
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
    """Save a picture of the whole page if PICTURES=<folder> is set; `contact_sheets` lays them out by folder."""
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
