"""Intake, running in the test on a fresh database, with one delivered order; no broker. Or its database alone."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from libs.common.postgres.pool import Connection
from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.intake.event_builders import delivered, placed
from tests.running import Live, running


@pytest.fixture
def evidence_dir(tmp_path: Path) -> Path:
    return tmp_path / "evidence"


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]], evidence_dir: Path) -> AsyncIterator[Live]:
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=evidence_dir, photos_per_issue=3) as live:
        now = datetime.now(UTC)
        orders = live.service.aggregates["orders"]
        for news in (placed(at=now), delivered(at=now)):
            await live.service.execute(orders, news)
        yield live


@pytest.fixture
async def database_url(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("intake")


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
