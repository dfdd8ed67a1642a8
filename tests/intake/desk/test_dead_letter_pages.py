"""Dead letters at the desk: those of intake, and those of a service that answers its ops routes well or oddly."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from libs.common.decisions.clock import SharedClock
from libs.common.messaging import dead_letters
from services.intake.app import create_app
from services.intake.desk.accounts import StaffRole
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.intake.desk.conftest import Desk, Staff
from tests.intake.issue_states import an_order, hire, open_case, store_dead_letter
from tests.running import running


@dataclass
class OpsServer:
    """Ops routes of another service: `answers` holds status and body by method and path, `requests` what was sent."""

    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def say(self, request: str, content: Any, status: int = 200) -> None:
        self.answers[request] = (status, content if isinstance(content, bytes) else json.dumps(content).encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b"":
            request = head.decode().partition(" HTTP/1.1")[0]
            self.requests.append(request)
            status, content = self.answers.get(request.partition("?")[0], (404, b"{}"))
            writer.write(b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content))
            await writer.drain()


@pytest.fixture
async def ops() -> AsyncIterator[tuple[OpsServer, str]]:
    ops = OpsServer()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await ops.serve(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield ops, f"returns=http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.fixture
async def desk(database: MakeDatabase, tmp_path: Path, ops: tuple[OpsServer, str]) -> AsyncIterator[Desk]:
    from datetime import UTC, datetime

    settings: dict[str, Any] = {"evidence_dir": tmp_path, "ops_urls": ops[1], "ops_key": "ops-key-for-tests-only"}
    async with running(create_app, IntakeSettings, database=await database("intake"), **settings) as live:
        await hire(live, "aki", StaffRole.ADMIN)
        clock = SharedClock.create(tmp_path / "clock", datetime.now(UTC), speed=1)
        yield Desk(live, await open_case(live, "SD-1"), clock)


@pytest.fixture
def returns(ops: tuple[OpsServer, str]) -> OpsServer:
    return ops[0]


async def admin(desk: Desk) -> Staff:
    return await desk.as_("aki")


async def stored(desk: Desk) -> int:
    return await store_dead_letter(desk.live, "orders", [an_order("O-9")], "ValueError: not today")


async def state(desk: Desk, number: int) -> str:
    found = await desk.live.service.pool.fetchval("SELECT state FROM dead_letters WHERE id = $1", number)
    return str(found)


async def test_an_event_of_our_own_is_listed_and_shown_with_its_error(desk: Desk) -> None:
    number, staff = await stored(desk), await admin(desk)
    assert f"/desk/dead-letters/intake/{number}" in (await staff.get("/desk/dead-letters")).text
    shown = await staff.get(f"/desk/dead-letters/intake/{number}")
    assert (shown.status_code, "ValueError: not today" in shown.text) == (200, True)


@pytest.mark.parametrize(("action", "after"), [("replay", {"replaying", "replayed"}), ("discard", {"discarded"})])
async def test_an_event_of_our_own_is_decided_once_it_is_confirmed(desk: Desk, action: str, after: set[str]) -> None:
    number, staff = await stored(desk), await admin(desk)
    path = f"/desk/dead-letters/intake/{number}"
    confirmation = await staff.post(f"{path}/confirm", action=action, comment="because")
    assert (confirmation.status_code, await state(desk, number)) == (200, "open")
    done = await staff.post(f"{path}/{action}", comment="because")
    assert (done.status_code, await state(desk, number) in after) == (303, True)
    (row,) = await desk.live.service.pool.fetch("SELECT staff, action, comment, subject FROM desk_actions")
    assert tuple(row) == ("aki", action, "because", f"dead_letter:intake:{number}")


async def test_an_event_that_is_decided_already_is_not_decided_again(desk: Desk) -> None:
    number, staff = await stored(desk), await admin(desk)
    path = f"/desk/dead-letters/intake/{number}/discard"
    answers = [(await staff.post(path, comment="because")).status_code for _ in range(2)]
    assert answers == [303, 409]


@pytest.mark.parametrize(
    "fields", [{"action": "replay", "comment": "  "}, {"action": "burn", "comment": "because"}, {}]
)
async def test_a_decision_without_action_or_reason_is_asked_for_again(desk: Desk, fields: dict[str, str]) -> None:
    number, staff = await stored(desk), await admin(desk)
    path = f"/desk/dead-letters/intake/{number}"
    assert (await staff.post(f"{path}/confirm", **fields)).status_code == 422
    assert (await staff.post(f"{path}/{fields.get('action', 'burn')}", comment="")).status_code == 404
    assert await state(desk, number) == "open"


@pytest.mark.parametrize("where", ["intake/0", "intake/-1", f"intake/{2**63}", "intake/999", "nobody/1", "returns/8"])
async def test_what_does_not_exist_is_not_found(desk: Desk, where: str) -> None:
    staff = await admin(desk)
    assert (await staff.get(f"/desk/dead-letters/{where}")).status_code == 404
    assert (await staff.post(f"/desk/dead-letters/{where}/confirm", action="replay", comment="x")).status_code == 404


async def test_an_event_of_another_service_is_shown_and_decided_by_its_ops_routes(
    desk: Desk, returns: OpsServer
) -> None:
    entry = await an_entry(desk)
    returns.say("GET /ops/dead-letters", {"items": [entry], "next_after": None})
    returns.say("GET /ops/dead-letters/7", entry)
    returns.say("POST /ops/dead-letters/7/replay", {}, 202)
    staff = await admin(desk)
    assert "/desk/dead-letters/returns/7" in (await staff.get("/desk/dead-letters")).text
    assert (await staff.get("/desk/dead-letters/returns/7")).status_code == 200
    assert (await staff.post("/desk/dead-letters/returns/7/replay", comment="because")).status_code == 303
    assert returns.requests[-1] == "POST /ops/dead-letters/7/replay"


async def an_entry(desk: Desk) -> dict[str, Any]:
    """Return a dead letter as ops routes show it, with another number."""
    number = await stored(desk)
    async with desk.live.service.pool.acquire() as conn:
        found = await dead_letters.get_dead_letter(conn, number)
    assert found
    return {**found.as_dict(), "id": 7}


async def test_an_event_that_another_service_holds_no_more_is_reported(desk: Desk, returns: OpsServer) -> None:
    returns.say("POST /ops/dead-letters/7/discard", {"code": "not_open"}, 409)
    answer = await (await admin(desk)).post("/desk/dead-letters/returns/7/discard", comment="because")
    assert answer.status_code == 409
    assert await desk.live.service.pool.fetchval("SELECT count(*) FROM desk_actions") == 0


@pytest.mark.parametrize(
    ("status", "content"), [(401, b"{}"), (500, b""), (200, b"<html>"), (200, b"[]"), (200, b"{}")]
)
async def test_a_service_that_answers_something_else_is_shown_as_unreachable(
    desk: Desk, returns: OpsServer, status: int, content: bytes
) -> None:
    for path in ("GET /ops/dead-letters", "GET /ops/dead-letters/7"):
        returns.say(path, content, status)
    staff = await admin(desk)
    assert (await staff.get("/desk")).status_code == 200
    assert "returns does not answer" in (await staff.get("/desk/dead-letters")).text
    assert (await staff.get("/desk/dead-letters/returns/7")).status_code in (404, 502)
