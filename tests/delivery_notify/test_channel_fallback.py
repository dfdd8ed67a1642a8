"""Preferred channel, fallback to the next one, and staff notices for what is left."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from deploy.local.mailbox import Mailbox
from libs.common.decisions.clock import SharedClock
from libs.common.events import issues as ev
from services.delivery_notify.store.preferences import ContactPreferences, save_preferences
from tests.conftest import MakeDatabase, execute_as_owner
from tests.delivery_notify.conversation_driver import CUSTOMER, at, issue, line, placed
from tests.delivery_notify.providers import LINE_TOKEN, SIGNING_SECRET, UNKNOWN_USER, Providers, providers
from tests.delivery_notify.service import notifying, published, settled, take
from tests.delivery_notify.test_sender import at_once, later, order
from tests.running import Live, eventually


@pytest.fixture
async def there() -> AsyncIterator[Providers]:
    async with providers() as found:
        yield found


@asynccontextmanager
async def everywhere(database: str, there: Providers, smtp: Mailbox, **more: Any) -> AsyncIterator[Live]:
    ways = {
        "line_access_token": LINE_TOKEN,
        "line_api_url": there.url,
        "sms_webhook_url": f"{there.url}/sms",
        "sms_webhook_secret": SIGNING_SECRET,
        "staff_channel": "slack",
        "slack_webhook_url": f"{there.url}/hook",
        "quiet_from_hour": 0,
        "quiet_to_hour": 0,
    }
    async with notifying(database, smtp.url, **{**ways, **more}) as live:
        yield live


async def prefer(live: Live, *channels: str, line: str | None = "U-hanako", phone: str | None = None) -> None:
    wanted = ContactPreferences(channels, None, line, phone)
    await save_preferences(live.service.pool, CUSTOMER, wanted, datetime.now(UTC))  # type: ignore[arg-type]


async def staff_notices_sent(live: Live, count: int = 1) -> list[str]:
    async def look() -> list[str]:
        rows = await live.service.pool.fetch("SELECT kind FROM staff_notices WHERE status = 'sent' ORDER BY made_at")
        return [row["kind"] for row in rows] if len(rows) >= count else []

    return await eventually(look, f"{count} staff notices are sent")


async def test_a_notice_is_sent_on_the_channel_that_its_customer_prefers(
    database: MakeDatabase, there: Providers, smtp: Mailbox
) -> None:
    async with everywhere(await database("delivery_notify"), there, smtp) as live:
        await prefer(live, "line")
        await take(live, order(), later())
        (row,) = await settled(live)
    assert (row["status"], row["channel"], smtp.messages, len(there.accepted)) == ("sent", "line", [], 1)


async def test_a_permanent_failure_falls_back_to_the_next_channel(
    database: MakeDatabase, there: Providers, smtp: Mailbox
) -> None:
    async with everywhere(await database("delivery_notify"), there, smtp) as live:
        await prefer(live, "line", line=UNKNOWN_USER)
        await take(live, order(), later())
        (row,) = await settled(live)
        assert await published(live) == ["notice.sent.v1"]
        assert await staff_notices_sent(live) == ["address_suppressed"]
    assert (row["status"], row["channel"], row["failed_channels"], len(smtp.messages)) == ("sent", "email", ["line"], 1)


async def test_an_unknown_address_is_not_tried_again(database: MakeDatabase, there: Providers, smtp: Mailbox) -> None:
    async with everywhere(await database("delivery_notify"), there, smtp) as live:
        await prefer(live, "line", line=UNKNOWN_USER)
        await take(live, order(), later())
        await settled(live)
        await take(live, issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered))
        rows = await settled(live, 2)
    assert [row["failed_channels"] for row in rows] == [["line"], None]


async def test_an_unreachable_customer_is_reported_to_staff_without_personal_data(
    database: MakeDatabase, there: Providers, smtp: Mailbox
) -> None:
    smtp.refusals += ["550 5.7.1 content not accepted"]
    async with everywhere(await database("delivery_notify"), there, smtp) as live:
        await take(live, order(), later())
        (row,) = await settled(live)
        assert (row["status"], await staff_notices_sent(live)) == ("failed", ["notice_failed"])
    texts = "".join(message.get("text", "") for message in there.accepted.values())
    assert "hanako" not in texts
    assert "O-1" in texts


async def test_a_review_is_reported_to_staff_once(database: MakeDatabase, there: Providers, smtp: Mailbox) -> None:
    async with everywhere(await database("delivery_notify"), there, smtp) as live:
        await take(
            live, order(), issue(ev.IssueAccepted), issue(ev.IssueReviewRequested), issue(ev.IssueReviewRequested)
        )
        assert await staff_notices_sent(live) == ["review_requested"]
        assert await live.service.pool.fetchval("SELECT count(*) FROM staff_notices") == 1


async def test_an_unavailable_channel_does_not_delay_the_others(
    database: MakeDatabase, there: Providers, smtp: Mailbox
) -> None:
    there.answers += [JSONResponse({"message": "busy"}, 429, {"Retry-After": "3000"})]
    async with everywhere(await database("delivery_notify"), there, smtp, staff_channel="none") as live:
        await prefer(live, "line")
        other = {"order_id": "O-2", "customer_id": "C-2"}
        await take(live, order(), later())

        async def rate_limited() -> bool:
            return bool(await live.service.pool.fetchval("SELECT count(*) FROM notices WHERE cause = 'http 429'"))

        await eventually(rate_limited, "LINE is rate limited")
        await take(live, order().model_copy(update=other), later().model_copy(update={"order_id": "O-2"}))
        (row,) = await settled(live)
    assert (row["order_id"], row["channel"]) == ("O-2", "email")


async def test_line_is_deferred_to_the_end_of_the_quiet_hours(
    database: MakeDatabase, there: Providers, smtp: Mailbox, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    SharedClock.create(clock, at(date(2027, 3, 1), 23), 1.0)
    quiet = {"quiet_from_hour": 21, "quiet_to_hour": 8, "clock_file": clock}
    async with everywhere(await database("delivery_notify"), there, smtp, **quiet) as live:
        await prefer(live, "line")
        await take(live, order(), later())

        async def kept() -> datetime | None:
            due: datetime | None = await live.service.pool.fetchval(
                "SELECT due_at FROM notices WHERE cause = 'quiet_hours' AND status = 'pending'"
            )
            return due

        assert await eventually(kept, "the notice is deferred") == at(date(2027, 3, 2), 8)
    assert (there.accepted, smtp.messages) == ({}, [])


async def many(live: Live, count: int) -> None:
    """Refunds of one customer, whose notices can wait."""
    for number in range(count):
        about = {"issue_id": issue_number(number), "refund_id": issue_number(100 + number)}
        await take(live, issue(ev.IssueAccepted, **about), issue(ev.IssueRefunded, **about))


def issue_number(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


async def test_deferred_notices_are_sent_as_one_message_the_next_morning(
    database: MakeDatabase, there: Providers, smtp: Mailbox, tmp_path: Path
) -> None:
    path = tmp_path / "clock"
    clock = SharedClock.create(path, at(date(2027, 3, 1), 12), 1.0)
    async with everywhere(
        await database("delivery_notify"), there, smtp, clock_file=path, max_messages_per_day=2
    ) as live:
        await take(live, placed(line(promise=None, requires_shipping=False)))
        await many(live, 5)
        assert [row["batched"] for row in await settled(live, 2)] == [False, False]

        async def held() -> bool:
            return bool(await live.service.pool.fetchval("SELECT count(*) = 3 FROM notices WHERE batched"))

        await eventually(held, "three notices are deferred")
        clock.set_speed(3600 * 24)
        rows = await settled(live, 5)
    mails = smtp.messages
    assert (len(mails), {row["status"] for row in rows}, mails[-1]["Subject"]) == (
        3,
        {"sent"},
        "【さきだし商店】3件のお知らせ",
    )
    assert mails[-1].get_body(("plain",)).get_content().count("ご返金額") == 3  # type: ignore[union-attr]


async def test_a_group_is_repeated_with_its_id_and_its_members(
    database: MakeDatabase, smtp: Mailbox, there: Providers
) -> None:
    """As after a crash between sending and recording."""
    async with everywhere(await database("delivery_notify"), there, smtp) as live:
        await execute_as_owner(live.service.settings.database_url, _HELD)
        await execute_as_owner(live.service.settings.database_url, _BROKEN)
        await take(live, order())
        await many(live, 3)
        await eventually(lambda: sent_twice(live, smtp), "the mail is sent again")
        await execute_as_owner(live.service.settings.database_url, "DROP TRIGGER broken ON notices")
        await at_once(live)
        await settled(live, 3)
    assert len({mail["Message-ID"] for mail in smtp.messages if "件" in mail["Subject"]}) == 1


async def sent_twice(live: Live, smtp: Mailbox) -> bool:
    await at_once(live)
    await asyncio.sleep(0)
    return sum("件" in mail["Subject"] for mail in smtp.messages) >= 2


_HELD = """
    CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.batched = true; NEW.due_at = now() + interval '1 second'; RETURN NEW; END $$;
    CREATE TRIGGER hold BEFORE INSERT ON notices FOR EACH ROW EXECUTE FUNCTION hold()"""
_BROKEN = """
    CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken'; END $$;
    CREATE TRIGGER broken BEFORE UPDATE ON notices FOR EACH ROW WHEN (NEW.status = 'sent') EXECUTE FUNCTION broken()"""
