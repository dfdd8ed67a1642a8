"""Missing details, staff decisions and lists over HTTP; nothing of one customer is shown to another, on any route."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.common.http.signed_links import Purpose, SignedLinks, open_links
from tests.intake.event_builders import CUSTOMER, delivered, http_id, line, placed
from tests.intake.service_calls import body, report
from tests.intake.test_api import outbox_of, problem
from tests.intake.test_photos import picture, upload
from tests.running import OPS, STOREFRONT, Live

DAMAGED = body(2, reason="damaged_in_transit")
PHOTO = [("photos", ("a.jpg", picture()))]
DECISION = {"action": "cancel", "staff": "sato", "comment": "お客様のご希望", "expected_version": 0}


def links_of(live: Live) -> SignedLinks:
    secrets: Any = live.service.settings
    return open_links(secrets.link_secrets)


def owner_url(live: Live, issue_id: str, *, purpose: Purpose = Purpose.UPLOAD, days: int = 1) -> str:
    until = datetime.now(UTC) + timedelta(days=days)
    return f"/u/{links_of(live).token(purpose, until, issue_id)}"


async def types(live: Live) -> list[str]:
    return [event["type"].removesuffix(".v1") for event in await outbox_of(live)]


async def decide(live: Live, issue_id: str, key: str = "d", **changes: Any) -> httpx.Response:
    headers = {**OPS, "Idempotency-Key": key}
    return await live.client.post(f"/v1/issues/{issue_id}/decisions", json={**DECISION, **changes}, headers=headers)


async def test_a_report_that_lacks_a_photo_is_answered_with_the_detail_and_its_date(live: Live) -> None:
    answer = (await report(live, DAMAGED)).json()
    assert (answer["status"], answer["missing"], "details_by" in answer) == ("waiting_for_customer", ["photo"], True)


async def test_its_photo_makes_it_accepted_without_a_question(live: Live) -> None:
    address = (await report(live, DAMAGED)).headers["Location"]
    given = (await upload(live, address, [picture()])).json()
    shown = (await live.client.get(address, headers=STOREFRONT)).json()
    assert (given["missing"], shown["status"], await types(live)) == (
        [],
        "accepted",
        ["issue.reported", "issue.accepted"],
    )


async def test_photos_may_come_before_their_report(live: Live) -> None:
    ahead = (await live.client.post("/v1/photos", files=PHOTO, headers=STOREFRONT)).json()["photos"]
    answer = await report(live, {**DAMAGED, "photos": [photo["sha256"] for photo in ahead]})
    shown = (await live.client.get(answer.headers["Location"], headers=STOREFRONT)).json()
    assert (answer.json()["status"], [photo["sha256"] for photo in shown["photos"]]) == (
        "accepted",
        [ahead[0]["sha256"]],
    )


async def test_the_owner_gives_what_is_missing_by_a_signed_link(live: Live) -> None:
    issue_id = (await report(live, DAMAGED)).json()["issue_id"]
    given = await live.client.post(f"{owner_url(live, issue_id)}/photos", files=PHOTO)
    assert (given.status_code, given.json()["missing"]) == (201, [])


async def test_the_name_of_a_missing_part_is_taken_from_the_owner(live: Live) -> None:
    issue_id = (await report(live, body(1, reason="missing_part"))).json()["issue_id"]
    details = {"lines": [{"line_id": "1", "part": "蓋"}]}
    given = await live.client.post(f"{owner_url(live, issue_id)}/details", json=details)
    shown = (await live.client.get(f"/v1/issues/{issue_id}", headers=OPS)).json()
    assert (given.json(), shown["status"], shown["lines"][0]["part"]) == ({"missing": []}, "accepted", "蓋")


@pytest.mark.parametrize(
    ("status", "code", "details"),
    [
        (422, "no_details", {}),
        (422, "unknown_line", {"lines": [{"line_id": "9", "part": "蓋"}]}),
        (422, "invalid", {"lines": [{"line_id": "1", "part": " "}]}),
        (422, "invalid", {"lines": [{"line_id": "1", "part": "x" * 201}]}),
        (422, "invalid", {"description": ""}),
        (422, "invalid", {"photo": "x"}),
    ],
)
async def test_invalid_details_are_refused(live: Live, status: int, code: str, details: dict[str, Any]) -> None:
    issue_id = (await report(live, body(1, reason="missing_part"))).json()["issue_id"]
    answer = await live.client.post(f"/v1/issues/{issue_id}/details", json=details, headers=OPS)
    assert problem(answer) == (status, code)


async def test_details_for_a_report_that_lacks_nothing_are_refused(live: Live) -> None:
    issue_id = (await report(live)).json()["issue_id"]
    answer = await live.client.post(f"/v1/issues/{issue_id}/details", json={"description": "x"}, headers=OPS)
    assert problem(answer) == (409, "nothing_missing")


async def test_a_decision_is_recorded_and_published(live: Live) -> None:
    issue_id = (await report(live)).json()["issue_id"]
    first = await decide(live, issue_id)
    assert (first.status_code, first.json()["version"], (await types(live))[-1]) == (202, 1, "issue.staff_decided")
    row = await live.service.pool.fetchrow("SELECT staff, comment, action FROM staff_decisions")
    assert row
    assert tuple(row) == ("sato", "お客様のご希望", "cancel")


async def test_the_same_decision_again_is_the_same_answer(live: Live) -> None:
    issue_id = (await report(live)).json()["issue_id"]
    first, again = await decide(live, issue_id), await decide(live, issue_id)
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")


async def test_the_second_of_two_decisions_on_one_version_is_refused(live: Live) -> None:
    issue_id = (await report(live)).json()["issue_id"]
    await decide(live, issue_id, "one")
    assert problem(await decide(live, issue_id, "two", action="waive_collection")) == (409, "decided_meanwhile")


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "burn"},
        {"staff": ""},
        {"comment": "  "},
        {"comment": "x" * 1001},
        {"expected_version": -1},
        {"expected_version": 2**40},
        {"remedy": "gold"},
        {"review": ""},
        {"mood": "good"},
    ],
)
async def test_a_decision_with_a_wrong_field_is_refused_by_its_name(live: Live, changes: dict[str, Any]) -> None:
    issue_id = (await report(live)).json()["issue_id"]
    answer = await decide(live, issue_id, **changes)
    assert problem(answer) == (422, "invalid")
    assert next(iter(changes)) in answer.json()["detail"]


async def test_a_held_report_is_accepted_by_staff(live: Live) -> None:
    issue_id = (await report(live, DAMAGED)).json()["issue_id"]
    await decide(live, issue_id, action="accept")
    published = await types(live)
    assert published[-3:] == ["issue.staff_decided", "issue.accepted", "issue.staff_decision_applied"]


async def test_lists_are_for_ops_and_for_the_customer_who_is_named(live: Live) -> None:
    await report(live)
    everything = (await live.client.get("/v1/issues", headers=OPS)).json()["issues"]
    theirs = (await live.client.get(f"/v1/issues?customer_id={CUSTOMER}", headers=STOREFRONT)).json()["issues"]
    others = (await live.client.get("/v1/issues?customer_id=C-other", headers=STOREFRONT)).json()["issues"]
    assert (len(everything), theirs, others) == (1, everything, [])
    assert problem(await live.client.get("/v1/issues", headers=STOREFRONT)) == (422, "customer_missing")


@pytest.mark.parametrize(
    "query",
    [
        *("status=x", "reason=x", "sku=", "limit=0", "limit=201", "from=yesterday", "from=2026-01-01"),
        *("overdue=maybe", "after=x", "from=0001-01-01T00:00:00%2B14:00", "q=" + "x" * 129),
    ],
)
async def test_an_invalid_filter_is_refused(live: Live, query: str) -> None:
    answer = await live.client.get(f"/v1/issues?{query}", headers=OPS)
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.json()["detail"]


# --- nothing of one customer is shown to another --------------------------------------------------------------------


async def two_customers(live: Live) -> tuple[str, str, str]:
    """Create Hanako's issue and photo, and Taro's issue; Taro is the attacker."""
    orders, now = live.service.aggregates["orders"], datetime.now(UTC)
    for news in (
        placed(line("1"), order_id="O-2", customer_id="C-taro", at=now),
        delivered(order_id="O-2", at=now),
    ):
        await live.service.execute(orders, news)
    hers = (await report(live)).json()["issue_id"]
    photo = (await upload(live, f"/v1/issues/{hers}", [picture(colour="green")])).json()["photos"][0]["sha256"]
    his = (await report(live, body(order_id="O-2", customer_id="C-taro"))).json()["issue_id"]
    return hers, photo, his


@pytest.mark.parametrize("path", ["", "/photos/{photo}", "/photos/{photo}/thumbnail"])
async def test_on_behalf_of_one_customer_nothing_of_another_is_read(live: Live, path: str) -> None:
    hers, photo, _ = await two_customers(live)
    address = f"/v1/issues/{hers}{path.format(photo=photo)}"
    owner = await live.client.get(address, params={"customer_id": CUSTOMER}, headers=STOREFRONT)
    other = await live.client.get(address, params={"customer_id": "C-taro"}, headers=STOREFRONT)
    assert (owner.status_code, problem(other)) == (200, (404, "unknown_issue"))


@pytest.mark.parametrize("path", ["/photos", "/details"])
async def test_on_behalf_of_one_customer_nothing_of_another_is_changed(live: Live, path: str) -> None:
    hers, _, _ = await two_customers(live)
    content: Any = {"files": PHOTO} if path == "/photos" else {"json": {"description": "x"}}
    address = f"/v1/issues/{hers}{path}?customer_id=C-taro"
    assert problem(await live.client.post(address, headers=STOREFRONT, **content)) == (404, "unknown_issue")


async def test_a_photo_is_read_by_its_owner_and_by_no_other_link(live: Live) -> None:
    hers, photo, his = await two_customers(live)
    owner = await live.client.get(f"{owner_url(live, hers)}/photos/{photo}")
    thumbnail = await live.client.get(f"{owner_url(live, hers)}/photos/{photo}/thumbnail")
    other = await live.client.get(f"{owner_url(live, his)}/photos/{photo}")
    assert (owner.status_code, owner.headers["Content-Type"], owner.headers["X-Content-Type-Options"]) == (
        200,
        "image/jpeg",
        "nosniff",
    )
    assert (thumbnail.status_code, problem(other)) == (200, (404, "unknown_photo"))


async def test_a_link_for_something_else_cut_off_or_too_old_opens_nothing(live: Live) -> None:
    hers, photo, _ = await two_customers(live)
    good = owner_url(live, hers)
    bad = [
        good[:-1],
        good + "x",
        "/u/x",
        owner_url(live, hers, purpose=Purpose.STATUS),
        owner_url(live, hers, days=-1),
        owner_url(live, "no-issue"),
    ]
    answers = [await live.client.get(f"{link}/photos/{photo}") for link in bad]
    assert [problem(answer) for answer in answers] == [(404, "link_invalid")] * len(bad)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/issues"),
        ("GET", "/v1/issues/{issue}"),
        ("GET", "/v1/issues/{issue}/photos/{photo}"),
        ("GET", "/v1/issues/{issue}/photos/{photo}/thumbnail"),
        ("POST", "/v1/issues/{issue}/photos"),
        ("POST", "/v1/issues/{issue}/details"),
        ("POST", "/v1/issues/{issue}/decisions"),
        ("POST", "/v1/photos"),
    ],
)
async def test_without_a_key_nothing_is_shown(live: Live, method: str, path: str) -> None:
    hers, photo, _ = await two_customers(live)
    answer = await live.client.request(method, path.format(issue=hers, photo=photo))
    assert problem(answer) == (401, "unauthenticated")


async def test_a_report_about_anothers_order_shows_nothing_of_their_issues(live: Live) -> None:
    hers, _, _ = await two_customers(live)
    answer = await report(live, body(2, customer_id="C-taro"))
    assert (problem(answer), hers in answer.text) == ((403, "foreign_customer"), False)


async def test_anothers_photo_cannot_be_had_by_naming_it(live: Live) -> None:
    """The hash of a photo is a name and not a key: it attaches only photos that are unassigned or their own."""
    _, photo, his = await two_customers(live)
    answer = await live.client.get(f"/v1/issues/{his}/photos/{photo}", headers=STOREFRONT)
    assert problem(answer) == (404, "unknown_photo")
    content = body(1, order_id="O-2", customer_id="C-taro", photos=[photo])
    assert problem(await report(live, content)) == (422, "unknown_photo")


async def test_an_unknown_issue_is_refused_on_every_route(live: Live) -> None:
    missing: UUID = http_id("none")
    answers = [
        await live.client.get(f"/v1/issues/{missing}/photos/{'a' * 64}", headers=OPS),
        await live.client.post(f"/v1/issues/{missing}/details", json={"description": "x"}, headers=OPS),
        await decide(live, str(missing)),
    ]
    assert [problem(answer) for answer in answers] == [(404, "unknown_issue")] * 3
