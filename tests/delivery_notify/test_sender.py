"""Sender against a real mail server that accepts, refuses and becomes unavailable."""

from datetime import UTC, date, datetime, timedelta

import pytest

from deploy.local.mailbox import Mailbox
from libs.common.config.calendar_file import BUNDLED_CALENDAR, read_calendars
from libs.common.events import issues as ev
from libs.common.events.storefront import OrderPlaced, OrderPromiseChanged, OrderShipped
from libs.common.events.values import Contact, Language, LineQuantity, Reporter
from services.delivery_notify.channels.channel import DELIVERY_TIMEOUT_SECONDS
from services.delivery_notify.sending import circuit_breaker
from services.delivery_notify.sending.retry_policy import MAX_ATTEMPTS
from services.delivery_notify.sending.sender import LEASE, RECORD_TIME_LIMIT, SEND_TIME_LIMIT
from tests.conftest import MakeDatabase, execute_as_owner
from tests.delivery_notify.conversation_driver import ORDER, TOKYO, issue, line, placed
from tests.delivery_notify.service import notifying, published, settled, take
from tests.running import Live, eventually

CLOSED_PORT = "smtp://127.0.0.1:1"


SHOP = read_calendars(BUNDLED_CALENDAR, TOKYO).shop


def soon(days: int) -> date:
    """Return the day in so many days, or the next on which the shop is open: nothing is promised for another."""
    return SHOP.next_open((datetime.now(UTC) + timedelta(days=days)).date())


def order(language: Language = Language.JA) -> OrderPlaced:
    """Order of today, promised for a week from now; the running service uses the wall clock."""
    return placed(line(promise=soon(7)), language=language, placed_at=datetime.now(UTC))


def later() -> OrderPromiseChanged:
    return OrderPromiseChanged(order_id=ORDER, promised_ship_date=soon(14), changed_at=datetime.now(UTC))


async def at_once(live: Live) -> None:
    """Clear leases and pauses."""
    await live.service.pool.execute("UPDATE notices SET wait_until = NULL")


async def put_off(live: Live) -> bool:
    return bool(await live.service.pool.fetchval("SELECT count(*) FROM notices WHERE cause IS NOT NULL"))


@pytest.mark.parametrize("language", Language)
async def test_a_notice_is_mailed_in_the_language_of_the_customer(
    language: Language, database: MakeDatabase, smtp: Mailbox
) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(language), later())
        (mail,) = await smtp.wait_for(1)
    subjects = {"ja": "発送日", "en": "Your order will now ship on", "de": "Ihre Bestellung"}
    assert mail["Content-Language"] == language
    assert subjects[language] in mail["Subject"]


async def test_a_mail_has_a_text_and_an_html_part(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        (mail,) = await smtp.wait_for(1)
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]


async def test_a_sent_mail_is_published_as_an_event(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        await settled(live)
        assert await published(live) == ["notice.sent.v1"]


async def test_the_message_id_follows_from_the_notice(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        (row,) = await settled(live)
    assert smtp.messages[0]["Message-ID"] == f"<{row['notice_id']}@example.jp>"


async def test_a_temporary_refusal_is_tried_again_until_it_is_sent(database: MakeDatabase, smtp: Mailbox) -> None:
    smtp.refusals.append("451 try again later")
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        await eventually(lambda: put_off(live), "the notice is put off")
        await at_once(live)
        (row,) = await settled(live)
    assert (row["status"], row["attempts"], len(smtp.messages)) == ("sent", 2, 1)


async def test_a_final_refusal_fails_the_notice_at_once(database: MakeDatabase, smtp: Mailbox) -> None:
    smtp.refusals.append("550 no such user")
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        (row,) = await settled(live)
        assert await published(live) == ["notice.failed.v1"]
    assert (row["status"], row["cause"], row["attempts"]) == ("failed", "smtp 550 data", 1)


async def test_a_refusal_of_one_mail_does_not_hold_up_the_next(database: MakeDatabase, smtp: Mailbox) -> None:
    smtp.refusals.append("550 no such user")
    async with notifying(await database("delivery_notify"), smtp.url, smtp_connections=1) as live:
        other = {"order_id": "O-2"}
        await take(live, order(), later(), order().model_copy(update=other), later().model_copy(update=other))
        rows = await settled(live, 2)
    assert sorted(row["status"] for row in rows) == ["failed", "sent"]


async def test_a_notice_is_kept_while_the_mail_server_is_unavailable(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify"), CLOSED_PORT) as live:
        await take(live, order(), later())
        await eventually(lambda: put_off(live), "the notice is put off")
        (row,) = await live.service.pool.fetch("SELECT status, cause FROM notices")
    assert (row["status"], row["cause"]) == ("pending", "connection: SMTPConnectError")


_BROKEN = """
    CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
    CREATE TRIGGER broken BEFORE UPDATE ON notices FOR EACH ROW WHEN (NEW.status = 'sent') EXECUTE FUNCTION broken()"""


async def sent_twice(live: Live, smtp: Mailbox) -> bool:
    await at_once(live)
    return len(smtp.messages) >= 2


async def test_a_mail_whose_recording_failed_is_sent_again_with_the_same_message_id(
    database: MakeDatabase, smtp: Mailbox
) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await execute_as_owner(live.service.settings.database_url, _BROKEN)
        await take(live, order(), later())
        await eventually(lambda: sent_twice(live, smtp), "the mail is sent again")
        await execute_as_owner(live.service.settings.database_url, "DROP TRIGGER broken ON notices")
        await at_once(live)
        await settled(live)
        assert await published(live) == ["notice.sent.v1"]
    assert len({mail["Message-ID"] for mail in smtp.messages}) == 1


async def test_a_superseded_notice_is_suppressed_and_never_mailed(database: MakeDatabase, smtp: Mailbox) -> None:
    smtp.refusals.append("451 try again later")
    parcel = OrderShipped(order_id=ORDER, lines=(LineQuantity(line_id="1", quantity=1),), shipped_at=datetime.now(UTC))
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, order(), later())
        await eventually(lambda: put_off(live), "the notice is put off")
        await take(live, parcel)
        await at_once(live)
        (row,) = await settled(live)
        assert await published(live) == ["notice.suppressed.v1"]
    assert (row["status"], row["cause"], smtp.messages) == ("suppressed", "shipped", [])


async def test_a_notice_waits_for_the_order_with_its_contact(database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered))
        assert smtp.messages == []
        await take(live, order())
        (mail,) = await smtp.wait_for(1)
    assert "hanako@example.jp" in mail["To"]


async def test_the_receiver_of_a_gift_is_written_to_where_they_reported(database: MakeDatabase, smtp: Mailbox) -> None:
    receiver = Contact(name="Ichiro", email="ichiro@example.jp", language=Language.EN)
    gift = order().model_copy(update={"recipient": receiver})
    reported = issue(ev.IssueAccepted, reported_by=Reporter.RECIPIENT)
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, gift, reported, issue(ev.IssueReplacementOrdered))
        (mail,) = await smtp.wait_for(1)
    assert (smtp.recipients, mail["Content-Language"]) == ([["ichiro@example.jp"]], "en")
    assert "Ichiro" in mail["To"]


async def test_a_name_cannot_add_a_header(database: MakeDatabase, smtp: Mailbox) -> None:
    name = "花子\r\nBcc: everybody@example.jp"
    placed_order = order().model_copy(update={"contact": Contact(name=name, email="hanako@example.jp")})
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await take(live, placed_order, later())
        (mail,) = await smtp.wait_for(1)
    assert (mail["Bcc"], smtp.recipients) == (None, [["hanako@example.jp"]])


async def test_discarded_notices_are_recorded_as_sent(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify")) as live:
        await take(live, order(), later())
        (row,) = await settled(live)
    assert (row["status"], row["channel"]) == ("sent", "discard")


async def test_a_notice_that_cannot_be_read_is_failed_by_itself(database: MakeDatabase, smtp: Mailbox) -> None:
    other = {"order_id": "O-2"}
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await execute_as_owner(live.service.settings.database_url, _UNREADABLE)
        await take(live, order(), later(), order().model_copy(update=other), later().model_copy(update=other))
        rows = await settled(live, 2)
    assert {row["order_id"]: (row["status"], row["cause"]) for row in rows} == {
        ORDER: ("failed", "rendering_failed: ValidationError"),
        "O-2": ("sent", None),
    }


_UNREADABLE = """
    CREATE FUNCTION unreadable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        NEW.facts = '{"day": "some day"}'; RETURN NEW; END $$;
    CREATE TRIGGER unreadable BEFORE INSERT ON notices FOR EACH ROW WHEN (NEW.order_id = 'O-1')
        EXECUTE FUNCTION unreadable()"""


async def test_a_kind_that_only_newer_code_knows_waits_for_it_and_holds_up_no_other(
    database: MakeDatabase, smtp: Mailbox
) -> None:
    newer = """
        INSERT INTO notices (notice_id, order_id, customer_id, kind, facts, made_at, due_at, contact_by)
        VALUES (gen_random_uuid(), 'O-1', 'C-1', 'song', '{}', $1, $1, $1)"""
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await live.service.pool.execute(newer, datetime.now(UTC) - timedelta(hours=1))
        await take(live, order(), later())
        (row,) = await settled(live)
        song = await live.service.pool.fetchrow("SELECT status, attempts FROM notices WHERE kind = 'song'")
    assert (row["status"], tuple(song or ())) == ("sent", ("pending", 0))


async def test_an_unavailable_mail_server_costs_no_attempt(database: MakeDatabase) -> None:
    async with notifying(await database("delivery_notify"), CLOSED_PORT) as live:
        await take(live, order(), later())
        await eventually(lambda: put_off(live), "the notice is put off")
        assert await live.service.pool.fetchval("SELECT attempts FROM notices") == 0


async def test_a_notice_is_sent_after_an_outage_of_any_length(
    database: MakeDatabase, smtp: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circuit_breaker, "MAX_PROBE_INTERVAL", timedelta(milliseconds=1))
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        smtp.refusals += ["421 closing"] * (2 * MAX_ATTEMPTS)
        await take(live, order(), later())
        (row,) = await settled(live)
    assert (row["status"], row["attempts"]) == ("sent", 1)


def test_sending_and_recording_end_before_the_lease() -> None:
    statement_timeout = 30  # of the pool: the last attempt to record may take that long
    used = SEND_TIME_LIMIT + DELIVERY_TIMEOUT_SECONDS + RECORD_TIME_LIMIT + statement_timeout
    assert used < LEASE.total_seconds()
