"""Mail reports: parsing of bounces and complaints, and their effect on notices and addresses."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks import Webhook

from deploy.local.mailbox import Mailbox
from libs.common.decisions.ids import derived_id
from libs.common.http.signed_links import Purpose, SignedLinks
from services.delivery_notify.channels.bounce_reports import (
    MAX_PARTS,
    InvalidMailReportError,
    MailReport,
    MailReportKind,
    notice_id_of,
    parse_reports,
)
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import CUSTOMER
from tests.delivery_notify.providers import SIGNING_SECRET, Providers, providers
from tests.delivery_notify.service import notifying, published, settled, take
from tests.delivery_notify.test_sender import later, order, soon
from tests.running import OPS, STOREFRONT, Live, eventually

NOTICE = derived_id("notice", "bounced")


def dsn(status: str = "5.1.1", action: str = "failed", notice: object = NOTICE) -> bytes:
    """As Postfix writes it (RFC 3464)."""
    return f"""From: MAILER-DAEMON@mx.example.jp (Mail Delivery System)
To: shop@example.jp
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="B"

--B
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

I'm sorry to have to inform you that your message could not be delivered.

--B
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.jp
Arrival-Date: Mon, 1 Mar 2027 10:00:00 +0900 (JST)

Final-Recipient: rfc822; hanako@example.jp
Original-Recipient: rfc822;hanako@example.jp
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 no such user

--B
Content-Type: message/rfc822

From: shop@example.jp
To: hanako@example.jp
Message-ID: <{notice}@example.jp>
Subject: test

text
--B--
""".replace("\n", "\r\n").encode()


def complaint(notice: object = NOTICE) -> bytes:
    """As a mailbox provider writes it (RFC 5965)."""
    return f"""From: fbl@mailbox.example
Content-Type: multipart/report; report-type=feedback-report; boundary="B"
MIME-Version: 1.0

--B
Content-Type: text/plain

A complaint.
--B
Content-Type: message/feedback-report

Feedback-Type: abuse
User-Agent: SomeGenerator/1.0
Version: 1
Original-Rcpt-To: <hanako@example.jp>

--B
Content-Type: text/rfc822-headers

From: shop@example.jp
Message-ID: <{notice}@example.jp>

--B--
""".replace("\n", "\r\n").encode()


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (dsn(), [MailReport(MailReportKind.BOUNCE, "hanako@example.jp", NOTICE, "5.1.1")]),
        (dsn("4.2.2", "delayed"), []),
        (complaint(), [MailReport(MailReportKind.COMPLAINT, "hanako@example.jp", NOTICE, "abuse")]),
        (dsn(notice="somebody-elses"), [MailReport(MailReportKind.BOUNCE, "hanako@example.jp", None, "5.1.1")]),
    ],
)
def test_a_report_is_read(raw: bytes, expected: list[MailReport]) -> None:
    assert parse_reports(raw) == expected


@pytest.mark.parametrize(
    ("status", "suppressed"), [("5.1.1", True), ("5.2.1", True), ("5.2.2", False), ("5.7.1", False)]
)
def test_a_full_mailbox_or_a_filter_suppresses_no_address(status: str, suppressed: bool) -> None:
    assert [report.suppresses_address for report in parse_reports(dsn(status))] == [suppressed]


@pytest.mark.parametrize("raw", [b"", b"Subject: hello\r\n\r\nhello", b"\xff\xfe", b"Content-Type: multipart/report"])
def test_another_mail_is_no_report(raw: bytes) -> None:
    with pytest.raises(InvalidMailReportError, match="RFC 3464"):
        parse_reports(raw)


def test_each_failed_recipient_of_a_bounce_is_one_report() -> None:
    other = b"Final-Recipient: rfc822; taro@example.jp\r\nAction: failed\r\nStatus: 5.2.2 (full)\r\n\r\n"
    delayed = b"Final-Recipient: rfc822; jiro@example.jp\r\nAction: delayed\r\nStatus: 4.2.2\r\n\r\n"
    raw = dsn().replace(b"Final-Recipient", other + delayed + b"Final-Recipient", 1)
    assert [(report.address, report.code) for report in parse_reports(raw)] == [
        ("taro@example.jp", "5.2.2"),
        ("hanako@example.jp", "5.1.1"),
    ]


@pytest.mark.parametrize(
    ("field", "replacement", "code"),
    [(b"Status: 5.1.1", b"X: y", "5.1.1"), (b"Status: 5.1.1", b"Status: " + b"5" * 50, "5.1.1")],
)
def test_without_a_status_the_diagnostic_has_the_code(field: bytes, replacement: bytes, code: str) -> None:
    assert [report.code for report in parse_reports(dsn().replace(field, replacement, 1))] == [code]


@pytest.mark.parametrize("recipient", [b"rfc822;nobody", b"nobody", b"", b"x-unknown;"])
def test_a_recipient_without_a_mail_address_has_none(recipient: bytes) -> None:
    raw = dsn().replace(b"Original-Recipient: rfc822;hanako@example.jp", b"Original-Recipient: " + recipient)
    raw = raw.replace(b"Final-Recipient: rfc822; hanako@example.jp", b"Final-Recipient: " + recipient)
    assert [report.address for report in parse_reports(raw)] == [None]


def test_a_report_with_too_many_parts_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(InvalidMailReportError, match="MIME parts"):
        parse_reports(b"Content-Type: message/rfc822\n\n" * (MAX_PARTS + 1) + dsn())


def test_the_type_of_a_complaint_is_its_code() -> None:
    raw = complaint().replace(b"Feedback-Type: abuse", b"Feedback-Type: " + b"f" * 60)
    assert [report.code for report in parse_reports(raw)] == ["f" * 40]


@pytest.mark.parametrize(
    ("message_id", "notice_id"),
    [(f"<{NOTICE}@example.jp>", NOTICE), (f" {NOTICE} ", NOTICE), ("<abc@example.jp>", None), ("", None)],
)
def test_the_notice_id_is_read_from_the_message_id(message_id: str, notice_id: UUID | None) -> None:
    assert notice_id_of(message_id) == notice_id


@pytest.fixture
async def there() -> AsyncIterator[Providers]:
    async with providers() as found:
        yield found


async def post(live: Live, raw: bytes, **headers: str) -> Any:
    return await live.client.post(
        "/v1/mail-reports", content=raw, headers={**OPS, "Content-Type": "message/rfc822", **headers}
    )


async def test_a_bounced_notice_falls_back_to_the_next_channel(
    database: MakeDatabase, smtp: Mailbox, there: Providers
) -> None:
    ways = {"sms_webhook_url": f"{there.url}/sms", "sms_webhook_secret": SIGNING_SECRET}
    quiet = {"quiet_from_hour": 0, "quiet_to_hour": 0}
    async with notifying(await database("delivery_notify"), smtp.url, **ways, **quiet) as live:
        placed = order()
        with_phone = placed.contact.model_copy(update={"phone": "+819012345678"})
        await take(live, placed.model_copy(update={"contact": with_phone}), later())
        (row,) = await settled(live)
        for _ in range(2):  # the same report may come twice
            assert (await post(live, dsn(notice=row["notice_id"]))).status_code == 202
        await eventually(lambda: sent_on(live, "sms"), "the notice is sent by SMS")
        assert await published(live) == ["notice.sent.v1", "notice.failed.v1", "notice.sent.v1"]
    assert len(there.accepted) == 1


async def test_a_bounce_of_a_notice_that_is_not_sent_again_fails_it_once(database: MakeDatabase, smtp: Mailbox) -> None:
    """A newer notice of the order was sent since, so no other channel is tried."""
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        (row,) = await settled(live)
        newer = later().model_copy(update={"promised_ship_date": soon(21), "changed_at": datetime.now(UTC)})
        await take(live, newer)
        await settled(live, 2)
        for _ in range(3):
            assert (await post(live, dsn("5.2.2", notice=row["notice_id"]))).status_code == 202
        assert await published(live) == ["notice.sent.v1", "notice.sent.v1", "notice.failed.v1"]
        found = "SELECT status, cause FROM notices WHERE notice_id = $1"
        (failed,) = await live.service.pool.fetch(found, row["notice_id"])
    assert tuple(failed) == ("failed", "bounce: 5.2.2")


async def sent_on(live: Live, channel: str) -> bool:
    found = await live.service.pool.fetchval("SELECT channel FROM notices WHERE status = 'sent'")
    return bool(found == channel)


async def test_an_invalid_address_is_suppressed_until_ops_allow_it(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        (first,) = await settled(live)
        assert (await post(live, dsn(notice=first["notice_id"]))).json() == {"reports": 1, "suppressed": 1}
        await take(live, later().model_copy(update={"promised_ship_date": soon(21)}))
        row = (await settled(live, 2))[-1]
        assert (row["status"], row["cause"], len(smtp.messages)) == ("suppressed", "address_suppressed", 1)
        listed = (await live.client.get("/ops/staff-notices", headers=OPS)).json()
        assert {each["kind"] for each in listed} == {"address_suppressed", "customer_unreachable"}
        body = {"channel": "email", "address": "HANAKO@example.jp"}
        allowed = await live.client.post("/ops/addresses/allow", json=body, headers=OPS)
    assert allowed.json() == {"was_suppressed": True}


async def test_a_complaint_suppresses_the_address_and_informs_staff(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        (row,) = await settled(live)
        assert (await post(live, complaint(row["notice_id"]))).json()["suppressed"] == 1
        facts = await live.service.pool.fetchval("SELECT facts FROM staff_notices")
        assert await published(live) == ["notice.sent.v1"]
    assert json.loads(facts) == {"customer_id": CUSTOMER, "channel": "email", "cause": "complaint: abuse"}


async def test_a_provider_reports_with_a_signature(database: MakeDatabase) -> None:
    body = json.dumps({"kind": "bounce", "address": "hanako@example.jp", "code": "5.1.1"})
    now = datetime.now(UTC)
    signature = Webhook(SIGNING_SECRET).sign("msg_1", now, body)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature,
        "Content-Type": "application/json",
    }
    async with notifying(await database("delivery_notify"), bounce_webhook_secret=SIGNING_SECRET) as live:
        taken = await live.client.post("/v1/mail-reports", content=body, headers=headers)
        forged = await live.client.post("/v1/mail-reports", content=body + " ", headers=headers)
    assert (taken.status_code, forged.status_code) == (202, 401)


@pytest.mark.parametrize(
    "body", ["", "[]", '{"kind": "song"}', '{"kind": "bounce", "address": "nobody"}', '{"kind": "bounce", "code": ""}']
)
async def test_an_invalid_json_report_is_refused(database: MakeDatabase, body: str) -> None:
    async with notifying(await database("delivery_notify")) as live:
        answer = await post(live, body.encode(), **{"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


async def test_a_json_bounce_finds_its_notice_and_address_by_the_message_id(
    database: MakeDatabase, smtp: Mailbox
) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        (row,) = await settled(live)
        body = json.dumps({"kind": "bounce", "message_id": f"<{row['notice_id']}@example.jp>", "code": "5.1.1"})
        answer = await post(live, body.encode(), **{"Content-Type": "application/json"})
        assert answer.json() == {"reports": 1, "suppressed": 1}
        assert await published(live) == ["notice.sent.v1", "notice.failed.v1"]


async def test_a_report_about_an_unknown_notice_and_address_changes_no_notice(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        assert (await post(live, dsn())).json() == {"reports": 1, "suppressed": 0}
        assert await published(live) == []
        assert (await live.client.get("/ops/staff-notices", headers=OPS)).json() == []


async def test_others_may_not_report(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        assert (await post(live, dsn(), Authorization="")).status_code == 401
        assert (await post(live, dsn(), **STOREFRONT)).status_code == 403
        assert (await post(live, b"Subject: hello\r\n\r\n")).status_code == 422


async def test_staff_see_a_mail_as_it_was_sent_by_a_link_of_the_desk(database: MakeDatabase, smtp: Mailbox) -> None:
    links = SignedLinks(["the-newest-secret-for-tests"])
    soon = datetime.now(UTC) + timedelta(minutes=5)
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        (row,) = await settled(live)
        good = links.token(Purpose.STAFF_NOTICE, soon, str(row["notice_id"]), "ops")
        page = await live.client.get(f"/staff/notices/{good}")
        html = await live.client.get(f"/staff/notices/{good}?as=html")
        old = links.token(Purpose.STAFF_NOTICE, soon - timedelta(hours=1), str(row["notice_id"]), "ops")
        other = links.token(Purpose.CHOICE, soon, str(row["notice_id"]), "ops")
        gone = [(await live.client.get(f"/staff/notices/{token}")).status_code for token in (old, other, "x")]
    assert smtp.messages[0]["Subject"] in page.text
    assert (html.text.startswith("<!doctype html>"), gone) == (True, [404, 404, 404])
    assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "same-origin")
    assert "sandbox" in html.headers["content-security-policy"]
