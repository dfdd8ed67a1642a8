"""Intake with a desk, staff of every role and one reported issue; no broker and no browser."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from libs.common.decisions.clock import SharedClock
from services.intake.app import create_app
from services.intake.desk.accounts import StaffRole
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.intake.issue_states import PASSWORD, Case, hire, open_case
from tests.running import Live, running

NAMES = {StaffRole.VIEWER: "vera", StaffRole.AGENT: "hanako", StaffRole.ADMIN: "aki"}


@dataclass
class Desk:
    """A running desk: `case` has an open review, `as_(name)` returns a client that is signed in."""

    live: Live
    case: Case
    clock: SharedClock

    @property
    def issue(self) -> str:
        return f"/desk/issues/{self.case.ids['issue_id']}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.live.app, raise_app_exceptions=False), base_url="https://desk.example"
        )

    async def as_(self, name: str, password: str = PASSWORD) -> "Staff":
        client = self.client()
        answer = await client.post("/desk/sign-in", data={"name": name, "password": password})
        return Staff(client, name, answer)


@dataclass
class Staff:
    client: httpx.AsyncClient
    name: str
    entered: httpx.Response

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    async def csrf(self) -> str:
        page = (await self.client.get("/desk")).text
        return page.partition('name="csrf" value="')[2].partition('"')[0]

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        body = urlencode({"csrf": await self.csrf(), **fields})
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
        return await self.client.post(path, content=body, headers=headers)


@pytest.fixture
async def desk(database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Desk]:
    from datetime import UTC, datetime

    file = tmp_path / "clock"
    clock = SharedClock.create(file, datetime.now(UTC), speed=1)
    url = await database("intake")
    settings: dict[str, Any] = {
        "evidence_dir": tmp_path,
        "clock_file": file,
        "notices_url": "https://notices.example",
        "ops_urls": "returns=http://127.0.0.1:1",
        "ops_key": "ops-key-for-tests-only",
    }
    async with running(create_app, IntakeSettings, database=url, **settings) as live:
        for role, name in NAMES.items():
            await hire(live, name, role)
        await hire(live, "taro", StaffRole.AGENT)
        case = await open_case(live, "SD-1")
        await case.publish(case.review())
        yield Desk(live, case, clock)
