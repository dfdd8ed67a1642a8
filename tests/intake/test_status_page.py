"""The status page over HTTP: a window for the courier, missing details, and what else a browser may send there."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from libs.common.events import issues
from libs.common.events.registry import decode
from libs.common.events.values import Reason, Reporter
from libs.common.http.signed_links import SignedLinks
from services.intake.customer_pages.links import STATUS_LINK_LIFETIME, CustomerPageLinks
from tests.intake.issue_states import Case, open_case
from tests.intake.test_photos import picture
from tests.running import LINK_SECRETS, Live

LINKS = CustomerPageLinks("http://service", SignedLinks([LINK_SECRETS]))


def address(case: Case, *, at: datetime | None = None) -> str:
    return LINKS.status(case.ids["issue_id"], at or datetime.now(UTC))


async def page(live: Live, case: Case, **query: str) -> httpx.Response:
    return await live.client.get(address(case), params={"lang": "en", **query})


async def published(live: Live, kind: type[Any]) -> list[Any]:
    rows = await live.service.pool.fetch("SELECT value FROM outbox_records ORDER BY id, n")
    return [event.data for row in rows if isinstance((event := decode(row["value"])).data, kind)]


async def in_transit(live: Live) -> Case:
    case = await open_case(live, "SD-1")
    await case.publish(case.ordered(), case.shipped(), case.arrived(), case.requested())
    return case


async def choose(live: Live, case: Case, window: str) -> httpx.Response:
    return await live.client.post(f"{address(case)}/window", data={"window": window})


async def test_a_window_that_the_customer_chooses_is_published_and_shown(live: Live) -> None:
    case = await in_transit(live)
    answer = await choose(live, case, f"{case.day(3).isoformat()}/14-16")
    (chosen,) = await published(live, issues.IssueCollectionWindowChosen)
    assert (answer.status_code, chosen.window.day, chosen.window.from_hour) == (303, case.day(3), 14)
    await case.publish(chosen)
    back = await live.client.get(httpx.URL(str(answer.request.url)).join(answer.headers["Location"]))
    assert (back.status_code, "14:00" in back.text) == (200, True)


@pytest.mark.parametrize(
    "window",
    [
        "", "tomorrow", "2026-03-12", "2026-03-12/", "2026-03-12/14", "2026-13-45/14-16", "2020-01-01/14-16",
        "9999-12-31/14-16", "2026-03-12/16-14", "2026-03-12/25-30", "2026-03-12/-1-2", "{day}/13-15", "{day}/9-99",
        "{day}/" + "9" * 5000 + "-2", "/" * 500,
    ],
)  # fmt: skip
async def test_a_window_that_is_not_offered_is_refused(live: Live, window: str) -> None:
    case = await in_transit(live)
    answer = await choose(live, case, window.format(day=case.day(3).isoformat()))
    assert (answer.status_code, await published(live, issues.IssueCollectionWindowChosen)) == (422, [])


async def test_no_window_can_be_chosen_before_a_collection_is_requested_or_after_it(live: Live) -> None:
    case = await open_case(live, "SD-1")
    window = f"{case.day(3).isoformat()}/14-16"
    assert (await choose(live, case, window)).status_code == 422
    await case.publish(case.ordered(), case.shipped(), case.arrived(), case.requested())
    collected = issues.IssueCollected(**case.ids, collection_id=case.replacement, collected_at=case.now)
    await case.publish(collected)
    assert (await choose(live, case, window)).status_code == 422


async def missing_part(live: Live) -> Case:
    return await open_case(live, "SD-1", Reason.MISSING_PART)


async def send(live: Live, case: Case, photos: list[bytes], **fields: str) -> httpx.Response:
    files = [("photos", (f"{n}.jpg", content)) for n, content in enumerate(photos)] or [("photos", ("", b""))]
    names = {name.replace("part_", "part:"): value for name, value in fields.items()}
    return await live.client.post(f"{address(case)}/photos", data=names, files=files)


async def test_details_that_were_missing_are_asked_for_until_they_are_sent(live: Live) -> None:
    case = await missing_part(live)
    assert 'name="part:1"' in (await page(live, case)).text
    answer = await send(live, case, [picture()], part_1=" The lid ")
    (accepted,) = await published(live, issues.IssueAccepted)
    assert (answer.status_code, accepted.lines[0].part) == (303, "The lid")
    assert 'name="part:1"' not in (await page(live, case)).text


async def test_a_form_with_nothing_in_it_says_so(live: Live) -> None:
    case = await missing_part(live)
    answer = await send(live, case, [], part_1="  ", description="")
    assert (answer.status_code, await published(live, issues.IssueDetailsProvided)) == (422, [])


@pytest.mark.parametrize("fields", [{"part_": "x"}, {"part_77": "x"}, {"part_\x00": "x"}, {"part_1": "\x00"}])
async def test_no_name_of_a_part_is_an_error_of_ours(live: Live, fields: dict[str, str]) -> None:
    case = await missing_part(live)
    answer = await send(live, case, [], **fields)
    assert answer.status_code < 500, answer.text


async def test_a_photo_that_cannot_be_read_is_explained_and_nothing_is_stored(live: Live) -> None:
    case = await missing_part(live)
    answer = await send(live, case, [b"no picture"], part_1="The lid")
    assert answer.status_code == 415
    assert await published(live, issues.IssueDetailsProvided) == []


async def test_a_report_that_is_complete_takes_further_photos(live: Live) -> None:
    case = await open_case(live, "SD-1")
    assert (await send(live, case, [picture()])).status_code == 303
    assert await live.service.pool.fetchval("SELECT count(*) FROM evidence") == 1


@pytest.mark.parametrize("path", ["", "/window", "/photos"])
async def test_no_other_link_opens_the_page(live: Live, path: str) -> None:
    case = await in_transit(live)
    expired = address(case, at=datetime.now(UTC) - STATUS_LINK_LIFETIME - timedelta(seconds=1))
    unknown = LINKS.status(uuid4(), datetime.now(UTC))
    survey = LINKS.survey(case.ids["issue_id"], datetime.now(UTC)).replace("/v/", "/s/")
    for url in (expired, unknown, survey, address(case)[:-1]):
        method = "POST" if path else "GET"
        answer = await live.client.request(method, url + path, data={"window": "x"} if path else None)
        assert answer.status_code == 404, url


async def test_opening_the_page_changes_nothing(live: Live) -> None:
    case = await in_transit(live)
    before = await live.service.pool.fetchval("SELECT count(*) FROM outbox")
    for method in ("GET", "HEAD"):
        assert (await live.client.request(method, address(case))).status_code == 200
    assert await live.service.pool.fetchval("SELECT count(*) FROM outbox") == before


@pytest.mark.parametrize("done", ["window", "details", "nothing", "<script>", "\x00"])
async def test_no_text_in_the_address_is_shown_as_it_is(live: Live, done: str) -> None:
    shown = await page(live, await in_transit(live), done=done)
    assert (shown.status_code < 500, "<script>" in shown.text) == (True, False)


async def test_a_second_resolution_is_asked_about_again(live: Live) -> None:
    case = await open_case(live, "SD-1")
    await case.publish(case.resolved())
    survey = LINKS.survey(case.ids["issue_id"], datetime.now(UTC))
    assert (await live.client.post(survey, data={"score": "2"})).status_code == 303
    later = timedelta(minutes=-1)
    await case.publish(issues.IssueReopened(**case.ids, cause="again", reopened_at=case.now), ago=later)
    assert (await live.client.post(survey, data={"score": "9"})).status_code == 409
    second = case.resolved().model_copy(update={"resolution": 2})
    await case.publish(second, ago=2 * later)
    assert (await live.client.post(survey, data={"score": "9"})).status_code == 303
    rated = [(rating.resolution, rating.score) for rating in await published(live, issues.IssueRated)]
    assert rated == [(1, 2), (2, 9)]


@pytest.mark.parametrize("score", ["", "-1", "11", "5.0", "５", "ten"])
async def test_a_score_off_the_scale_is_asked_for_again(live: Live, score: str) -> None:
    case = await open_case(live, "SD-1")
    await case.publish(case.resolved())
    answer = await live.client.post(LINKS.survey(case.ids["issue_id"], datetime.now(UTC)), data={"score": score})
    assert (answer.status_code, await published(live, issues.IssueRated)) == (422, [])


async def test_the_receiver_of_a_gift_sees_neither_points_nor_a_report_that_is_not_theirs_to_withdraw(
    live: Live,
) -> None:
    case = await open_case(live, "SD-1")
    await case.publish(case.ordered(), case.points())
    link = LINKS.status(case.ids["issue_id"], datetime.now(UTC), Reporter.RECIPIENT)
    seen = [(await live.client.get(url, params={"lang": "en"})).text for url in (address(case), link)]
    assert [("points" in text, "/withdraw" in text) for text in seen] == [(True, True), (False, False)]
    assert (await live.client.post(f"{link}/withdraw")).status_code == 409


async def test_the_receiver_of_a_gift_reads_that_the_choice_is_made_with_the_customer(live: Live) -> None:
    case = await open_case(live, "SD-1")
    await case.publish(case.ordered(), case.asked())
    link = LINKS.status(case.ids["issue_id"], datetime.now(UTC), Reporter.RECIPIENT)
    text = (await live.client.get(link, params={"lang": "en"})).text
    assert "the person who placed the order" in text
