"""Mail over HTTP: attached to its issue once, its photos evidence, what was missing provided, the rest for staff."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.common.events.anomalies import AnomalyDetected
from libs.common.events.issues import IssueAccepted, IssueCustomerWrote
from libs.common.http.reply_addresses import ReplyAddresses
from services.intake.mail.receiving import MAX_PER_HOUR, MAX_UNMATCHED_PER_HOUR
from services.intake.store import customer_messages
from services.intake.store.customer_messages import CustomerMessage
from tests.intake.event_builders import ORDER
from tests.intake.mail.mails import ANSWER, Mail
from tests.intake.mail.test_reader_process import HOSTILE
from tests.intake.service_calls import body, report
from tests.intake.test_photos import picture
from tests.outbox import take_events
from tests.running import LINK_SECRETS, OPS, STOREFRONT, Live

ADDRESSES = ReplyAddresses([LINK_SECRETS], "reply.shop.example")
PHOTO = ("image/jpeg", "IMG_0001.JPG", picture())


async def send(live: Live, mail: Mail) -> httpx.Response:
    return await live.client.post("/v1/mail", content=mail.render(), headers=OPS)


async def reported_issue(live: Live, **fields: Any) -> UUID:
    return UUID((await report(live, body(**fields))).json()["issue_id"])


async def messages(live: Live, issue_id: UUID) -> list[CustomerMessage]:
    async with live.service.pool.acquire() as conn:
        return list(await customer_messages.messages_of_issue(conn, issue_id))


async def test_a_mail_to_the_address_of_an_issue_belongs_to_it(live: Live) -> None:
    issue_id = await reported_issue(live)
    answer = await send(live, Mail(to=ADDRESSES.of_issue(issue_id).upper(), files=(PHOTO,)))
    assert (answer.status_code, answer.json()["outcome"], answer.json()["issue_id"]) == (202, "attached", str(issue_id))
    (message,) = await messages(live, issue_id)
    assert (message.content.text, message.content.sender, message.photos) == (ANSWER, "hanako@example.jp", 1)
    shown = await live.client.get(f"/v1/issues/{issue_id}", headers=STOREFRONT)
    assert len(shown.json()["photos"]) == 1


async def test_it_is_published_without_its_text(live: Live) -> None:
    issue_id = await reported_issue(live)
    await send(live, Mail(to=ADDRESSES.of_issue(issue_id)))
    found = [each.data for each in await take_events(live.service.pool)]
    (wrote,) = [each for each in found if isinstance(each, IssueCustomerWrote)]
    assert (wrote.issue_id, wrote.photos) == (issue_id, 0)
    assert "hanako" not in wrote.model_dump_json()


@pytest.mark.parametrize("header", ["Cc", "Delivered-To", "References", "In-Reply-To"])
async def test_the_address_is_found_in_any_header_that_keeps_it(header: str, live: Live) -> None:
    issue_id = await reported_issue(live)
    mail = Mail(to="support@shop.example", headers={header: f"<other@x.jp> <{ADDRESSES.of_issue(issue_id)}>"})
    assert (await send(live, mail)).json()["issue_id"] == str(issue_id)


async def test_a_mail_about_an_order_belongs_to_its_open_issue(live: Live) -> None:
    issue_id = await reported_issue(live)
    assert (await send(live, Mail(to=ADDRESSES.of_order(ORDER)))).json()["issue_id"] == str(issue_id)


async def test_the_missing_photo_lets_the_issue_go_on(live: Live) -> None:
    issue_id = await reported_issue(live, reason="damaged_in_transit", quantity=2)
    assert not any(isinstance(each.data, IssueAccepted) for each in await take_events(live.service.pool))
    await send(live, Mail(to=ADDRESSES.of_issue(issue_id), files=(PHOTO,)))
    assert any(isinstance(each.data, IssueAccepted) for each in await take_events(live.service.pool))


async def test_a_repeated_mail_changes_nothing(live: Live) -> None:
    issue_id = await reported_issue(live)
    mail = Mail(to=ADDRESSES.of_issue(issue_id), files=(PHOTO,))
    await send(live, mail)
    await take_events(live.service.pool)
    assert (await send(live, mail)).json()["outcome"] == "repeated"
    assert len(await messages(live, issue_id)) == 1
    assert await take_events(live.service.pool) == []


@pytest.mark.parametrize(
    "headers", [{"Auto-Submitted": "auto-replied"}, {"From": ADDRESSES.of_order(ORDER)}], ids=["machine", "ourselves"]
)
async def test_an_automatic_mail_is_left(headers: dict[str, str], live: Live) -> None:
    issue_id = await reported_issue(live)
    answer = await send(live, Mail(to=ADDRESSES.of_issue(issue_id), headers=headers))
    assert (answer.json()["outcome"], await messages(live, issue_id)) == ("automatic", [])


@pytest.mark.parametrize(
    "to",
    [
        "support@shop.example",
        ADDRESSES.of_issue(UUID(int=7)),
        ReplyAddresses(["another secret"], "x.jp").of_order(ORDER),
    ],
    ids=["no address", "unknown issue", "forged"],
)
async def test_a_mail_of_no_issue_is_an_anomaly_with_its_message(to: str, live: Live) -> None:
    answer = (await send(live, Mail(to=to, files=(PHOTO,)))).json()
    assert (answer["outcome"], answer["issue_id"]) == ("unmatched", None)
    found = [each.data for each in await take_events(live.service.pool)]
    (anomaly,) = [each for each in found if isinstance(each, AnomalyDetected)]
    async with live.service.pool.acquire() as conn:
        message = await customer_messages.find_message(conn, UUID(answer["message_id"]))
    assert message
    assert (anomaly.thing, message.refused_files) == (f"message:{message.message_id}", 1)


async def test_an_order_without_an_issue_is_named_by_the_anomaly(live: Live) -> None:
    assert (await send(live, Mail(to=ADDRESSES.of_order(ORDER)))).json()["outcome"] == "unmatched"
    found = [each.data for each in await take_events(live.service.pool)]
    assert [each.order_id for each in found if isinstance(each, AnomalyDetected)] == [ORDER]


async def test_files_that_are_no_photos_are_counted_and_the_mail_is_taken(live: Live) -> None:
    issue_id = await reported_issue(live)
    files = (("image/jpeg", "broken.jpg", b"\xff\xd8 no picture"), ("application/pdf", "a.pdf", b"%PDF"), PHOTO)
    await send(live, Mail(to=ADDRESSES.of_issue(issue_id), files=files))
    (message,) = await messages(live, issue_id)
    assert (message.photos, message.refused_files) == (1, 2)


async def test_photos_beyond_the_room_of_the_issue_are_refused_and_leave_nothing_behind(live: Live) -> None:
    issue_id = await reported_issue(live)
    colours = ("red", "green", "blue", "white")
    files = tuple(("image/jpeg", f"{colour}.jpg", picture(colour=colour)) for colour in colours)
    await send(live, Mail(to=ADDRESSES.of_issue(issue_id), files=files))
    (message,) = await messages(live, issue_id)
    assert (message.photos, message.refused_files) == (3, 1)
    async with live.service.pool.acquire() as conn:
        assert await conn.fetchval("SELECT count(*) FROM evidence WHERE issue_id = $1", issue_id) == 3


async def test_a_mail_that_cannot_be_read_is_kept_for_its_issue(live: Live) -> None:
    issue_id = await reported_issue(live)
    address = ADDRESSES.of_issue(issue_id).encode()
    hostile = HOSTILE["open tags"].replace(b"reply+x@reply.shop.example", address)
    answer = await live.client.post("/v1/mail", content=hostile, headers=OPS)
    assert (answer.status_code, answer.json()["outcome"]) == (202, "attached")
    (message,) = await messages(live, issue_id)
    assert (message.content.text, message.refused_files) == ("", 1)
    assert "From: a@example.jp" in message.content.whole_text


async def test_a_flood_of_mails_of_no_issue_is_asked_to_come_later(live: Live) -> None:
    async with live.service.pool.acquire() as conn:
        await conn.execute(
            "INSERT INTO customer_messages SELECT gen_random_uuid(), NULL, NULL, NULL, $1, '', 0, 0 "
            "FROM generate_series(1, $2)",
            live.service.clock.now(),
            MAX_UNMATCHED_PER_HOUR,
        )
    assert (await send(live, Mail())).status_code == 429


async def test_two_machines_that_answer_each_other_are_stopped(live: Live) -> None:
    issue_id = await reported_issue(live)
    statuses = [
        (await send(live, Mail(to=ADDRESSES.of_issue(issue_id), headers={"Message-ID": f"<{n}@x.jp>"}))).status_code
        for n in range(MAX_PER_HOUR + 1)
    ]
    assert statuses == [202] * MAX_PER_HOUR + [429]


@pytest.mark.parametrize(("raw", "status", "code"), [(b"hello", 422, "unreadable_mail"), (b"", 422, "unreadable_mail")])
async def test_bytes_that_are_no_mail_are_refused(raw: bytes, status: int, code: str, live: Live) -> None:
    answer = await live.client.post("/v1/mail", content=raw, headers=OPS)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_storefront_may_not_send_mail(live: Live) -> None:
    answer = await live.client.post("/v1/mail", content=Mail().render(), headers=STOREFRONT)
    assert answer.status_code == 403


async def test_messages_go_with_the_free_text_of_closed_issues(live: Live) -> None:
    issue_id = await reported_issue(live)
    await send(live, Mail(to=ADDRESSES.of_issue(issue_id)))
    await send(live, Mail(headers={"Message-ID": "<other@x.jp>"}))
    later = live.service.clock.now() + timedelta(days=1)
    async with live.service.pool.acquire() as conn:
        await conn.execute(customer_messages.retention_sweep(1).statement, later, 100)
        assert await conn.fetchval("SELECT array_agg(issue_id) FROM customer_messages") == [issue_id]
