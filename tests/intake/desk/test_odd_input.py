"""The desk's forms and addresses with texts that no browser of ours sends: refused or not found, never an error."""

from typing import Any
from uuid import uuid4

import pytest

from tests.intake.desk.conftest import Desk
from tests.intake.issue_states import PASSWORD

HALF_EMOJI = "%ED%A0%BD"
ODD = ["%00", HALF_EMOJI, "%FF", "%27%3B+DROP+TABLE+issues%3B--", "x" * 100]


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize(
    "page", ["/desk/search?q={}", "/desk/work/{}", "/desk/work/reviews?after={}", "/desk/issues/{}"]
)
async def test_no_text_in_an_address_is_an_error_of_ours(desk: Desk, page: str, text: str) -> None:
    answer = await (await desk.as_("aki")).get(page.format(text))
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("text", ODD)
@pytest.mark.parametrize("page", ["/desk/dead-letters/{}/1", "/desk/dead-letters/intake/{}", "/desk/insights?sku={}"])
async def test_no_text_in_an_address_of_admins_is_an_error_of_ours(desk: Desk, page: str, text: str) -> None:
    answer = await (await desk.as_("aki")).get(page.format(text))
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("text", ["\x00", "\ud83d", "'; DROP TABLE staff; --", "🎁" * 3000])
@pytest.mark.parametrize("field", ["name", "password", "next"])
async def test_nobody_signs_in_with_an_odd_text(desk: Desk, field: str, text: str) -> None:
    form = {"name": "hanako", "password": PASSWORD, field: text}
    content = "&".join(f"{name}={value}" for name, value in form.items()).encode("utf-8", "surrogatepass")
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    async with desk.client() as client:
        answer = await client.post("/desk/sign-in", content=content, headers=headers)
    assert answer.status_code in ((303, 401, 422) if field == "next" else (401, 422))
    assert answer.headers.get("Location", "/desk").startswith("/desk")


FORMS: dict[str, dict[str, str]] = {
    "confirm": {"action": "accept:", "comment": "because"},
    "decide": {"action": "accept:", "comment": "because", "version": "1.0.0", "action_id": str(uuid4())},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("field", ["action", "comment", "version", "action_id"])
@pytest.mark.parametrize("text", ["\x00", "approve_review:\x00", "choose_remedy:everything", "x" * 5000])
async def test_no_text_in_a_decision_is_an_error_of_ours(desk: Desk, form: str, field: str, text: str) -> None:
    staff = await desk.as_("hanako")
    fields: dict[str, Any] = {**FORMS[form], field: text}
    answer = await staff.post(f"{desk.issue}/{form}", **fields)
    assert answer.status_code < 500, answer.text
    assert await desk.live.service.pool.fetchval("SELECT count(*) FROM staff_decisions") == 0


async def test_a_decision_about_no_issue_is_not_found(desk: Desk) -> None:
    staff = await desk.as_("hanako")
    nowhere = f"/desk/issues/{uuid4()}"
    assert (await staff.get(nowhere)).status_code == 404
    assert (await staff.post(f"{nowhere}/confirm", **FORMS["confirm"])).status_code == 404
    assert (await staff.post(f"{nowhere}/decide", **FORMS["decide"])).status_code < 500
    assert (await staff.post(f"{nowhere}/release")).status_code < 500


@pytest.mark.parametrize("text", ["fr", "", "EN"])
async def test_an_unknown_language_changes_nothing(desk: Desk, text: str) -> None:
    staff = await desk.as_("hanako")
    answer = await staff.post("/desk/language", language=text, next="/desk/search")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/desk/search")
    assert '<html lang="en"' in (await staff.get("/desk")).text


async def test_staff_change_the_language_of_their_pages(desk: Desk) -> None:
    staff = await desk.as_("hanako")
    await staff.post("/desk/language", language="ja", next="//elsewhere.example")
    assert '<html lang="ja"' in (await staff.get("/desk")).text


async def test_a_search_that_finds_one_issue_opens_it(desk: Desk) -> None:
    staff = await desk.as_("vera")
    for text in ("SD-1", f"  {desk.case.ids['issue_id']} "):
        answer = await staff.client.get("/desk/search", params={"q": text})
        assert (answer.status_code, answer.headers["Location"]) == (303, desk.issue)
    nothing = await staff.client.get("/desk/search", params={"q": "SD-9"})
    assert (nothing.status_code, desk.issue in nothing.text) == (200, False)
