"""Intake with the secrets of its storefronts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from services.intake.app import create_app
from services.intake.settings import IntakeSettings
from tests.intake.storefronts.calls import SETTINGS
from tests.running import Live, running


@pytest.fixture
async def live(database: Callable[[str], Awaitable[str]], tmp_path: Path) -> AsyncIterator[Live]:
    url = await database("intake")
    async with running(create_app, IntakeSettings, database=url, evidence_dir=tmp_path, **SETTINGS) as live:
        yield live
