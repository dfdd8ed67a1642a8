"""Numbers and cursors beyond what the database holds are answered 4xx or the first page, on every route with one."""

import pytest

from tests.intake.desk.conftest import Desk, desk
from tests.running import OPS

__all__ = ["desk"]

NUMBERS = ["0", "-1", str(2**63), str(-(2**63) - 1), "1" + "0" * 40, "-" + "9" * 40, "1e3", "0x10", "\u0661"]
CURSORS = [
    "0001-01-01T00:00:00+23:59~cd80b04b-5750-5483-a078-91988b0165df",
    "9999-12-31T23:59:59-23:59~cd80b04b-5750-5483-a078-91988b0165df",
    "9999-12-31~cd80b04b-5750-5483-a078-91988b0165df",
    "~",
    "\u0000~\u0000",
    "x" * 5000,
]


@pytest.mark.parametrize("number", NUMBERS)
async def test_an_id_beyond_the_database_is_no_fault_of_ours(desk: Desk, number: str) -> None:
    ops = desk.live.client
    assert (await ops.get(f"/ops/dead-letters/{number}", headers=OPS)).status_code in (404, 422)
    for action in ("replay", "discard"):
        path = f"/ops/dead-letters/{number}/{action}"
        assert (await ops.post(path, headers=OPS)).status_code in (404, 422)
    for name in ("after", "limit"):
        params = {name: number}
        if (name, number) != ("after", "0"):
            assert (await ops.get("/ops/dead-letters", params=params, headers=OPS)).status_code == 422
    admin = await desk.as_("aki")
    assert (await admin.get(f"/desk/dead-letters/intake/{number}")).status_code in (404, 422)
    for action in ("confirm", "replay", "discard"):
        answer = await admin.post(f"/desk/dead-letters/intake/{number}/{action}", action="replay", comment="because")
        assert answer.status_code in (404, 422), action


@pytest.mark.parametrize("cursor", CURSORS)
async def test_an_odd_cursor_is_refused_or_shows_the_first_page(desk: Desk, cursor: str) -> None:
    answer = await desk.live.client.get("/v1/issues", params={"after": cursor}, headers=OPS)
    assert answer.status_code in (400, 422)
    hanako = await desk.as_("hanako")
    page = await hanako.client.get("/desk/work/reviews", params={"after": cursor})
    assert page.status_code in ((400,) if "\0" in cursor else (200, 422))
