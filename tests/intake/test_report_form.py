"""The report form over HTTP: what the customer's browser sends, and what else may arrive there."""

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Component, Language, Reason, Reporter
from libs.common.http.signed_links import Purpose, SignedLinks
from services.intake.app import create_app
from services.intake.customer_pages.links import REPORT_LINK_LIFETIME, CustomerPageLinks, ReportSubject
from services.intake.settings import IntakeSettings
from tests.conftest import MakeDatabase
from tests.intake.event_builders import CUSTOMER, ORDER, delivered, line, placed
from tests.intake.service_calls import body, report
from tests.intake.test_photos import picture
from tests.running import LINK_SECRETS, STOREFRONT, Live, running

LINKS = CustomerPageLinks("http://service", SignedLinks([LINK_SECRETS]))
LINE = ("line_id", "quantity", "part")
FORM: dict[str, str] = {"key": "k-1", "line:1": "1", "quantity:1": "2", "reason": "defective", "description": "壊れた"}


def form_url(order_id: str = ORDER, customer_id: str = CUSTOMER, *, at: datetime | None = None) -> str:
    return LINKS.report(ReportSubject(order_id, customer_id, Language.EN), at or datetime.now(UTC))[0]


async def send(
    live: Live,
    url: str | None = None,
    photos: Sequence[bytes] = (),
    odd: Mapping[str, str | None] = MappingProxyType({}),
    **fields: Any,
) -> httpx.Response:
    """Send the form as a browser does: as multipart, with an empty file field where no photo was chosen.

    Fields that are None are left out; `odd` holds those whose name is no keyword.
    """
    values = {name: value for name, value in {**FORM, **fields, **odd}.items() if value is not None}
    files = [("photos", (f"{n}.jpg", content)) for n, content in enumerate(photos)] or [("photos", ("", b""))]
    return await live.client.post(f"{url or form_url()}/report", data=values, files=files)


async def reports(live: Live) -> list[Any]:
    rows = await live.service.pool.fetch("SELECT reason, lines, description, status FROM issues ORDER BY reported_at")
    return [
        {**row, "lines": [tuple(line.get(name) for name in LINE) for line in json.loads(row["lines"])]} for row in rows
    ]


async def test_a_link_for_a_customer_is_made_by_the_storefront_and_opens_the_form(live: Live) -> None:
    wanted = {"order_id": ORDER, "customer_id": CUSTOMER, "language": "en"}
    made = await live.client.post("/v1/report-links", json=wanted, headers=STOREFRONT)
    lasts = datetime.fromisoformat(made.json()["expires_at"]) - datetime.now(UTC)
    assert (made.status_code, lasts.days) == (201, (REPORT_LINK_LIFETIME - timedelta(seconds=1)).days)
    form = await live.client.get(made.json()["url"])
    assert (form.status_code, form.text.count('name="line:'), "Tetsubin" in form.text) == (200, 2, True)


async def test_the_form_asks_in_the_language_of_its_link_unless_the_customer_changes_it(live: Live) -> None:
    assert '<html lang="en"' in (await live.client.get(form_url())).text
    assert '<html lang="ja"' in (await live.client.get(f"{form_url()}?lang=ja")).text


async def test_a_report_from_the_form_is_a_report(live: Live) -> None:
    answer = await send(live)
    assert answer.status_code == 303
    (issue,) = await reports(live)
    assert (issue["reason"], issue["description"], issue["status"]) == ("defective", "壊れた", "accepted")
    assert issue["lines"] == [("1", 2, None)]


async def test_after_the_report_the_page_names_the_status_page(live: Live) -> None:
    answer = await send(live)
    thanks = await live.client.get(httpx.URL(str(answer.request.url)).join(answer.headers["Location"]))
    assert (thanks.status_code, "/s/" in thanks.text) == (200, True)


async def test_the_same_form_sent_twice_is_one_report(live: Live) -> None:
    url = form_url()
    first, again = await send(live, url), await send(live, url)
    assert (first.headers["Location"], first.status_code) == (again.headers["Location"], again.status_code)
    assert len(await reports(live)) == 1


async def test_a_second_form_about_the_same_units_leads_to_the_issue_that_exists(live: Live) -> None:
    url = form_url()
    first, again = await send(live, url), await send(live, url, key="k-2")
    assert again.headers["Location"] == first.headers["Location"].replace("outcome=new", "outcome=again")


async def test_units_that_are_reported_cannot_be_chosen_again(live: Live) -> None:
    await send(live, odd={"quantity:1": "1"})
    form = (await live.client.get(form_url())).text
    assert (form.count('name="line:'), 'name="quantity:1"' in form) == (2, False)
    await send(live, key="k-2", odd={"quantity:1": "1"})
    assert (await live.client.get(form_url())).text.count('name="line:') == 1


async def test_one_piece_is_reported_where_no_number_was_chosen(live: Live) -> None:
    await send(live, odd={"quantity:1": None})
    assert (await reports(live))[0]["lines"] == [("1", 1, None)]


@pytest.mark.parametrize(("reason", "kept"), [("missing_part", "The lid"), ("defective", None)])
async def test_the_name_of_a_part_counts_for_a_missing_part_only(live: Live, reason: str, kept: str | None) -> None:
    await send(live, reason=reason, part=" The lid ")
    assert (await reports(live))[0]["lines"][0][2] == kept


async def test_several_lines_are_one_report(live: Live) -> None:
    await live.service.execute(live.service.aggregates["orders"], delivered("2", 1, at=datetime.now(UTC)))
    answer = await send(live, odd={"line:2": "1"})
    assert answer.status_code == 303, answer.text
    assert [issue["lines"] for issue in await reports(live)] == [[("1", 2, None), ("2", 1, None)]]


async def test_of_several_lines_one_that_is_reported_already_is_explained_on_the_form(live: Live) -> None:
    await live.service.execute(live.service.aggregates["orders"], delivered("2", 1, at=datetime.now(UTC)))
    await send(live)
    answer = await send(live, key="k-2", odd={"line:2": "1"})
    assert (answer.status_code, "has already been reported" in answer.text) == (409, True)
    assert len(await reports(live)) == 1


async def test_a_form_that_was_opened_when_it_had_one_line_still_counts(live: Live) -> None:
    assert (await send(live, odd={"line:1": None, "line": "1"})).status_code == 303
    assert (await reports(live))[0]["lines"] == [("1", 2, None)]


@pytest.mark.parametrize(("wish", "kept"), [("", None), ("refund", "refund"), ("replacement", "replacement")])
async def test_the_wish_of_the_form_is_the_wish_of_the_report(live: Live, wish: str, kept: str | None) -> None:
    await send(live, remedy=wish)
    assert await live.service.pool.fetchval("SELECT requested_remedy FROM issues") == kept


async def test_a_wish_that_the_form_does_not_offer_is_no_error_of_ours(live: Live) -> None:
    assert (await send(live, remedy="a holiday")).status_code == 422


async def test_photos_of_the_form_are_evidence_of_the_issue(live: Live) -> None:
    answer = await send(live, photos=[picture(), picture(), picture(colour="blue")])
    assert answer.status_code == 303
    assert await live.service.pool.fetchval("SELECT count(*) FROM evidence") == 2


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"line:1": None}, "Please choose the item"),
        ({"line:" + "x" * 500: "1"}, "Please choose the item"),
        ({"reason": None}, "Please choose the item"),
        ({"reason": "because"}, "Please choose the item"),
        ({"quantity:1": "0"}, "Please choose the item"),
        ({"quantity:1": "-1"}, "Please choose the item"),
        ({"quantity:1": "many"}, "Please choose the item"),
        ({"quantity:1": "9" * 400}, "Please choose the item"),
        ({"quantity:1": "3"}, "more than was ordered"),
        ({"line:7": "1"}, "could not accept this right now"),
    ],
)
async def test_a_form_that_is_not_right_comes_back_with_what_was_written(
    live: Live, fields: dict[str, Any], fault: str
) -> None:
    answer = await send(live, odd=fields)
    assert 400 <= answer.status_code < 500
    assert (fault in answer.text, "壊れた" in answer.text, 'value="k-1"' in answer.text) == (True, True, True)
    assert await reports(live) == []


HOSTILE = ["\x00", "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1"), "'; DROP TABLE issues; --", "🎁" * 5000]


@pytest.mark.parametrize("name", ["key", "line:1", "line", "reason", "part", "description", "quantity:1", "anything"])
@pytest.mark.parametrize("value", HOSTILE)
async def test_no_text_in_any_field_is_an_error_of_ours(live: Live, name: str, value: str) -> None:
    answer = await send(live, odd={"reason": "missing_part", name: value})
    assert answer.status_code < 500, answer.text


async def test_what_is_no_form_is_refused(live: Live) -> None:
    url = f"{form_url()}/report"
    for content, type_ in ((b"{}", "application/json"), (b"x", "multipart/form-data"), (b"", "")):
        answer = await live.client.post(url, content=content, headers={"Content-Type": type_})
        assert 400 <= answer.status_code < 500
    many = {f"field-{number}": "x" for number in range(200)}
    assert (await send(live, odd=many)).status_code == 422


@pytest.mark.parametrize(
    ("photos", "fault"),
    [
        ([b"no picture"], "JPEG, PNG, WebP or HEIC"),
        ([picture("PNG")[:-30]], "could not be read"),
        ([picture()] * 4, "could not accept this right now"),
    ],
)
async def test_a_photo_that_cannot_be_kept_is_explained(live: Live, photos: list[bytes], fault: str) -> None:
    answer = await send(live, photos=photos)
    assert 400 <= answer.status_code < 500
    assert fault in answer.text


async def test_the_order_of_another_customer_is_not_shown(live: Live) -> None:
    url = form_url(customer_id="C-other")
    for answer in (await live.client.get(url), await send(live, url)):
        assert (answer.status_code, "Tetsubin" in answer.text) == (404, False)
    assert await reports(live) == []


async def test_an_order_that_has_not_arrived_yet_has_no_form(live: Live) -> None:
    url = form_url("O-unknown")
    assert [(await live.client.get(url)).status_code, (await send(live, url)).status_code] == [404, 404]


async def test_an_expired_link_opens_nothing(live: Live) -> None:
    url = form_url(at=datetime.now(UTC) - REPORT_LINK_LIFETIME - timedelta(minutes=1))
    assert [(await live.client.get(url)).status_code, (await send(live, url)).status_code] == [404, 404]


async def test_a_confirmation_shows_no_issue_of_another_order(live: Live) -> None:
    now = datetime.now(UTC)
    for event in (placed(order_id="O-2", customer_id="C-2", at=now), delivered(order_id="O-2", at=now)):
        await live.service.execute(live.service.aggregates["orders"], event)
    made = await report(live, body(order_id="O-2", customer_id="C-2"))
    theirs = made.json()["issue_id"]
    assert (await live.client.get(f"{form_url('O-2', 'C-2')}/sent/{theirs}")).status_code == 200
    assert (await live.client.get(f"{form_url()}/sent/{theirs}")).status_code == 404


async def test_every_reason_can_be_chosen(live: Live) -> None:
    form = (await live.client.get(form_url())).text
    assert all(f'value="{reason}"' in form for reason in Reason)
    assert IssueSubmitted.model_fields["reason"].annotation is Reason


@pytest.fixture
async def embedded(database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Live]:
    settings: dict[str, Any] = {"evidence_dir": tmp_path, "embed_origins": "https://shop.example"}
    async with running(create_app, IntakeSettings, database=await database("intake"), **settings) as live:
        now = datetime.now(UTC)
        for event in (placed(at=now), delivered(at=now)):
            await live.service.execute(live.service.aggregates["orders"], event)
        yield live


async def test_only_the_form_may_be_framed_and_only_by_the_shop(embedded: Live) -> None:
    made = await report(embedded)
    form = await embedded.client.get(form_url())
    status = await embedded.client.get(LINKS.status(made.json()["issue_id"], datetime.now(UTC)))
    ancestors = [
        answer.headers["Content-Security-Policy"].partition("frame-ancestors ")[2].partition(";")[0]
        for answer in (form, status)
    ]
    assert ancestors == ["https://shop.example", "'none'"]


@pytest.fixture
async def kit(live: Live) -> str:
    """The link to the form of an order of one kit: a pot and four cups."""
    parts = (Component(sku="POT", name="Pot"), Component(sku="CUP", name="Cup", quantity=4))
    bought, now = line("1", 1).model_copy(update={"components": parts}), datetime.now(UTC)
    for event in (placed(bought, order_id="O-KIT", at=now), delivered(quantity=1, order_id="O-KIT", at=now)):
        await live.service.execute(live.service.aggregates["orders"], event)
    return form_url("O-KIT")


async def test_the_form_offers_the_parts_of_a_kit(live: Live, kit: str) -> None:
    form = (await live.client.get(kit)).text
    assert (form.count('name="part:1:'), form.count('<option value="')) == (2, 2 + 5 + 3)


async def test_a_chosen_part_is_what_the_report_is_about(live: Live, kit: str) -> None:
    answer = await send(live, kit, odd={"quantity:1": None, "part:1:CUP": "2", "part:1:POT": "0"})
    assert answer.status_code == 303
    row = await live.service.pool.fetchrow("SELECT issue_id, lines FROM issues")
    assert row
    assert json.loads(row["lines"])[0]["parts"] == [{"sku": "CUP", "quantity": 2}]
    status = await live.client.get(LINKS.status(row["issue_id"], datetime.now(UTC)))
    assert "Tetsubin: Cup × 2" in status.text


@pytest.mark.parametrize("digits", [7, 400, 5000])
async def test_a_number_of_parts_with_many_digits_is_refused_on_the_form(live: Live, kit: str, digits: int) -> None:
    answer = await send(live, kit, odd={"part:1:CUP": "1" * digits, "quantity:1": "1" * digits})
    assert (answer.status_code, 'role="alert"' in answer.text, await reports(live)) == (422, True, [])


async def test_of_a_kit_with_a_reported_part_the_other_parts_can_be_chosen(live: Live, kit: str) -> None:
    await send(live, kit, odd={"quantity:1": None, "part:1:CUP": "2"})
    form = (await live.client.get(kit)).text
    assert ('name="part:1:CUP"' in form, 'name="part:1:POT"' in form) == (False, True)


async def test_more_cups_than_one_kit_holds_are_not_taken(live: Live, kit: str) -> None:
    answer = await send(live, kit, odd={"quantity:1": None, "part:1:CUP": "5"})
    assert (answer.status_code, "more than was ordered" in answer.text) == (422, True)


async def test_a_change_of_mind_is_about_the_whole_kit(live: Live, kit: str) -> None:
    await send(live, kit, reason="changed_mind", odd={"quantity:1": None, "part:1:CUP": "2"})
    lines = await live.service.pool.fetchval("SELECT lines FROM issues")
    assert json.loads(lines)[0]["parts"] == []


async def link_of_receiver(live: Live) -> str:
    wanted = {"order_id": ORDER, "customer_id": CUSTOMER, "language": "en", "reporter": "recipient"}
    made = await live.client.post("/v1/report-links", json=wanted, headers=STOREFRONT)
    return str(made.json()["url"])


async def test_the_receiver_of_a_gift_reports_by_a_link_of_their_own(live: Live) -> None:
    answer = await send(live, await link_of_receiver(live))
    assert answer.status_code == 303
    assert await live.service.pool.fetchval("SELECT reported_by FROM issues") == "recipient"
    published = await live.service.pool.fetch("SELECT value FROM outbox_records")
    assert any(b"issue.accepted.v1" in row["value"] and b'"recipient"' in row["value"] for row in published)


async def test_a_link_of_the_receiver_leads_to_a_status_page_without_money(live: Live) -> None:
    answer = await send(live, await link_of_receiver(live))
    thanks = await live.client.get(httpx.URL(str(answer.request.url)).join(answer.headers["Location"]))
    (token,) = set(re.findall(r"/s/([\w.-]+)", thanks.text))
    subject = LINKS.read_issue(Purpose.STATUS, token, datetime.now(UTC))
    assert subject.reader is Reporter.RECIPIENT
