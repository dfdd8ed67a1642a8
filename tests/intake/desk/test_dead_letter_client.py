"""The desk's connections to the ops routes of the other services, over real sockets."""

import asyncio
from pathlib import Path
from typing import Any

import httpx

from services.intake.app import create_app
from services.intake.desk.accounts import StaffRole
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.intake.issue_states import PASSWORD, hire
from tests.running import running

_BODY = b'{"items": [], "next_after": null}'
NO_DEAD_LETTERS = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)


async def test_they_are_closed_when_the_service_ends(database: MakeDatabase, tmp_path: Path) -> None:
    asked, left = asyncio.Event(), asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(NO_DEAD_LETTERS)
        asked.set()
        await reader.read()
        left.set()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        ops = f"returns=http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        own: dict[str, Any] = {"database": await database("intake"), "evidence_dir": tmp_path, "ops_urls": ops}
        async with running(create_app, IntakeSettings, **own, ops_key="ops-key-for-tests-only") as live:
            await hire(live, "aki", StaffRole.ADMIN)
            transport = httpx.ASGITransport(live.app)
            async with httpx.AsyncClient(transport=transport, base_url="https://desk.example") as staff:
                await staff.post("/desk/sign-in", data={"name": "aki", "password": PASSWORD})
                await staff.get("/desk/dead-letters")
            assert (asked.is_set(), left.is_set()) == (True, False)
        await asyncio.wait_for(left.wait(), 5)
