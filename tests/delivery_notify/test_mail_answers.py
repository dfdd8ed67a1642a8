"""Answers of mail servers: which of them give up an address, and which say something about us."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.local.mailbox import Mailbox
from libs.common.events.storefront import OrderPlaced
from libs.common.events.values import Contact
from services.delivery_notify.channels.bounce_reports import parse_reports
from services.delivery_notify.channels.channel import EncodedMessage, SendOutcome, SendStatus
from services.delivery_notify.channels.mail_answers import classify_answer, report_code
from services.delivery_notify.channels.smtp import SmtpChannel
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import notifying, settled, take
from tests.delivery_notify.test_bounces import complaint, dsn, post
from tests.delivery_notify.test_channels import MAILS, WRITER, server
from tests.delivery_notify.test_sender import later, order
from tests.running import Live, eventually


@pytest.mark.parametrize(
    ("code", "answer", "status", "invalid", "blocked"),
    [
        (550, "5.1.1 no such user", SendStatus.PERMANENT_FAILURE, True, False),
        (550, "5.2.1 mailbox disabled", SendStatus.PERMANENT_FAILURE, True, False),
        (550, "5.1.10 null MX", SendStatus.PERMANENT_FAILURE, True, False),
        (550, "no such user", SendStatus.PERMANENT_FAILURE, False, False),
        (551, "user not local", SendStatus.PERMANENT_FAILURE, False, False),
        (553, "5.7.1 sender rejected", SendStatus.TEMPORARY_FAILURE, False, True),
        (550, "5.7.1 client host [192.0.2.1] blocked using an RBL", SendStatus.TEMPORARY_FAILURE, False, True),
        (554, "5.7.27 sender has no MX", SendStatus.TEMPORARY_FAILURE, False, True),
        (550, "5.4.4 no route", SendStatus.PERMANENT_FAILURE, False, False),
        (552, "5.2.2 mailbox full", SendStatus.PERMANENT_FAILURE, False, False),
        (550, "host 15.1.1.5 refuses", SendStatus.PERMANENT_FAILURE, False, False),
        (450, "4.1.1 later", SendStatus.TEMPORARY_FAILURE, False, False),
        (421, "4.7.0 later", SendStatus.CHANNEL_UNAVAILABLE, False, False),
    ],
)
def test_an_address_is_given_up_only_for_a_code_about_its_mailbox(
    code: int, answer: str, status: SendStatus, invalid: bool, blocked: bool
) -> None:
    outcome = classify_answer(code, answer, "recipient")
    assert (outcome.status, outcome.invalid_address, outcome.blocked) == (status, invalid, blocked)


def test_a_refused_content_concerns_the_message_alone() -> None:
    outcome = classify_answer(550, "5.7.1 content not accepted", "data")
    assert outcome == SendOutcome(SendStatus.PERMANENT_FAILURE, "smtp 550 5.7.1 data")


@pytest.mark.parametrize(
    ("status", "diagnostic", "code"),
    [
        ("5.1.1", "smtp; 550 5.7.1 blocked", "5.1.1"),
        ("5.0.0", "smtp; 550 5.7.1 blocked", "5.7.1"),
        ("5.1.0 (address)", "smtp; 550-5.1.1 no such user", "5.1.1"),
        ("", "smtp; 550 no such user", "5.0.0"),
        ("", "", "5.0.0"),
        ("5.0.0", "smtp; 550 unknown", "5.0.0"),
    ],
)
def test_a_code_is_read_from_the_status_and_else_from_the_diagnostic(status: str, diagnostic: str, code: str) -> None:
    assert report_code(status, diagnostic) == code


@pytest.mark.parametrize(
    ("recipient", "address"),
    [
        (b"rfc822;m1+2Btag@example.jp", "m1+tag@example.jp"),
        (b"rfc822;m1+tag@example.jp", "m1+tag@example.jp"),
        ("utf-8;花子@example.jp".encode(), None),
        ("rfc822;m8@müller-shop.example".encode(), None),
    ],
)
def test_an_original_recipient_is_xtext(recipient: bytes, address: str | None) -> None:
    raw = dsn().replace(b"Original-Recipient: rfc822;hanako@example.jp", b"Original-Recipient: " + recipient)
    [report] = parse_reports(raw)
    assert address is None or report.address == address


def placed_with(email: str) -> OrderPlaced:
    return order().model_copy(update={"contact": Contact(name="山田 花子", email=email)})


async def suppressed(live: Live) -> int:
    return int(await live.service.pool.fetchval("SELECT count(*) FROM suppressed_addresses"))


@asynccontextmanager
async def answering(answer: str) -> AsyncIterator[str]:
    """Run a mail server that answers each recipient so."""

    class Refusing(Mailbox):
        async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, *_: Any) -> str:  # noqa: N802
            return answer

    async with server(Refusing()) as address:
        yield f"smtp://{address}"


async def test_a_block_list_costs_no_address_and_is_sent_to_staff(database: MakeDatabase) -> None:
    async with (
        answering("550 5.7.1 Service unavailable; client host [192.0.2.1] blocked using an RBL") as url,
        notifying(await database("delivery_notify"), url) as live,
    ):
        await take(live, order(), later())

        async def sent() -> list[str]:
            return [row["kind"] for row in await live.service.pool.fetch("SELECT kind FROM staff_notices")]

        assert await eventually(sent, "staff hear of it") == ["mail_blocked"]
        settled_at = await live.service.pool.fetchval("SELECT settled_at FROM notices")
        assert (await suppressed(live), settled_at) == (0, None)


async def test_a_report_concerns_the_address_in_our_own_record(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, placed_with("m1+tag@example.jp"), later())
        (row,) = await settled(live)
        raw = dsn(notice=row["notice_id"]).replace(b"rfc822;hanako@", b"rfc822;somebody+2Belse@")
        assert (await post(live, raw)).json() == {"reports": 1, "suppressed": 1}
        digests = "SELECT digest = sha256(convert_to('m1+tag@example.jp', 'UTF8')) FROM suppressed_addresses"
        assert [each[0] for each in await live.service.pool.fetch(digests)] == [True]


async def test_a_report_about_no_message_of_ours_changes_nothing(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order())
        assert (await post(live, dsn())).json() == {"reports": 1, "suppressed": 0}
        assert await suppressed(live) == 0


@pytest.mark.parametrize(
    ("kind", "count"), [(b"abuse", 1), (b"fraud", 1), (b"opt-out", 1), (b"not-spam", 0), (b"auth-failure", 0)]
)
async def test_only_a_complaint_silences_us(database: MakeDatabase, smtp: Mailbox, kind: bytes, count: int) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        (row,) = await settled(live)
        raw = complaint(row["notice_id"]).replace(b"Feedback-Type: abuse", b"Feedback-Type: " + kind)
        assert (await post(live, raw)).json()["suppressed"] == count


async def test_a_domain_in_another_script_is_reached(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, placed_with("m8@müller-shop.example"), later())
        await settled(live)
    assert smtp.recipients == [["m8@xn--mller-shop-9db.example"]]


async def test_a_local_part_in_another_script_is_reached_where_the_server_offers_it(
    database: MakeDatabase, smtp: Mailbox
) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, placed_with("花子@example.jp"), later())
        (row,) = await settled(live)
    assert (row["status"], smtp.recipients) == ("sent", [["花子@example.jp"]])


async def test_a_server_without_smtputf8_says_so() -> None:
    async with server(Mailbox()) as address:
        channel = SmtpChannel(urlsplit(f"smtp://{address}"), 1, WRITER)
        mail = EncodedMessage(MAILS[0].idempotency_key, "花子@example.jp", MAILS[0].content)
        (outcome,) = await channel.send([mail], 60.0)
        await channel.close()
    assert (outcome.status, outcome.cause) == (SendStatus.PERMANENT_FAILURE, "smtputf8_not_offered")


async def test_a_name_of_any_length_arrives(database: MakeDatabase, smtp: Mailbox) -> None:
    named = order().model_copy(update={"contact": Contact(name="A" * 1500, email="m12@example.jp")})
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, named, later())
        (row,) = await settled(live)
    assert row["status"] == "sent"
