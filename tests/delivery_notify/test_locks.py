"""Row locks of notices: sender and conversations lock in id order, so that they cannot deadlock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from deploy.local.mailbox import Mailbox
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.notices import LineExcluded, NoticesWithdrawn, PointsDecided
from services.delivery_notify.store.conversations import Conversations
from services.delivery_notify.store.notice_outcomes import (
    BatchOutcomes,
    Completed,
    Deferred,
    FellBack,
    Rescheduled,
    record_outcomes,
)
from tests.conftest import MakeDatabase, execute_as_owner
from tests.delivery_notify.conversation_driver import MONDAY, NEXT_FRIDAY, RULES, placed
from tests.delivery_notify.order_events import changed
from tests.delivery_notify.service import notifying, settled, take
from tests.delivery_notify.test_sender import later, order
from tests.delivery_notify.test_store import apply
from tests.running import eventually

Write = Callable[[Connection, UUID, UUID], Awaitable[object]]


def _record(conn: Connection, first: UUID, last: UUID, **outcomes: Any) -> Awaitable[object]:
    """Record the last notice as sent, with these outcomes of the first."""
    sent = [Completed(last, "sent", "email", "ja"), *outcomes.pop("sent", ())]
    return record_outcomes(conn, BatchOutcomes(dict.fromkeys((first, last)), sent, **outcomes), MONDAY)


def _complete(conn: Connection, first: UUID, last: UUID) -> Awaitable[object]:
    return _record(conn, first, last, sent=[Completed(first, "sent", "email", "ja")])


def _reschedule(conn: Connection, first: UUID, last: UUID) -> Awaitable[object]:
    return _record(conn, first, last, rescheduled=[Rescheduled(first, "away", timedelta(0))])


def _fall_back(conn: Connection, first: UUID, last: UUID) -> Awaitable[object]:
    return _record(conn, first, last, fell_back=[FellBack(first, "email", "refused")])


def _defer(conn: Connection, first: UUID, last: UUID) -> Awaitable[object]:
    return _record(conn, first, last, deferred=[Deferred(first, MONDAY, "quiet_hours", False)])


def _withdraw(conn: Connection, first: UUID, last: UUID) -> Awaitable[object]:
    return Conversations(RULES).save(conn, {}, [NoticesWithdrawn((last,), "shipped"), NoticesWithdrawn((first,), "x")])


def _exclude_line(conn: Connection, first: UUID, last: UUID) -> Awaitable[object]:
    return Conversations(RULES).save(
        conn, {}, [LineExcluded((last,), "another"), NoticesWithdrawn((first,), "shipped")]
    )


def _add_points(conn: Connection, first: UUID, last: UUID) -> Awaitable[object]:
    return Conversations(RULES).save(conn, {}, [PointsDecided(last, 5), NoticesWithdrawn((first,), "shipped")])


WRITES = [
    (_complete, "sending"),
    (_reschedule, "sending"),
    (_fall_back, "sending"),
    (_defer, "sending"),
    (_withdraw, "sending"),
    (_exclude_line, "pending"),
    (_add_points, "pending"),
]


@pytest.fixture
async def conns(database: MakeDatabase) -> AsyncIterator[Sequence[Connection]]:
    url = await database("delivery_notify")
    opened = [await asyncpg.connect(url) for _ in range(3)]
    yield opened
    for each in opened:
        await each.close()


async def two_notices(conn: Connection, status: str) -> tuple[UUID, UUID]:
    """Two notices; the one with the later id was written first, so that no scan begins with the other."""
    orders = [f"O-{n}" for n in range(8)]
    for name in orders:
        await apply(conn, placed(order_id=name), changed(NEXT_FRIDAY).model_copy(update={"order_id": name}))
    await conn.execute("UPDATE notices SET status = $1", status)
    written: list[UUID] = [
        row["notice_id"] for row in await conn.fetch("SELECT notice_id FROM notices ORDER BY sequence")
    ]
    pairs = ((one, two) for i, two in enumerate(written) for one in written[i + 1 :] if one < two)
    return next(pairs)


@pytest.mark.parametrize(("write", "status"), WRITES)
async def test_every_writer_of_notices_locks_them_in_the_order_of_their_ids(
    conns: Sequence[Connection], write: Write, status: str
) -> None:
    holder, writer, looker = conns
    first, last = await two_notices(holder, status)
    backend = writer.get_server_pid()

    async def waits() -> bool:
        query = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = $1"
        return bool(await looker.fetchval(query, backend))

    async def change() -> None:
        async with writer.transaction():
            await write(writer, first, last)

    async with holder.transaction():
        await holder.execute("SELECT FROM notices WHERE notice_id = $1 FOR UPDATE", first)
        changing = asyncio.create_task(change())
        await eventually(waits, "the writer waits for the first row")
        free = await looker.fetch("SELECT FROM notices WHERE notice_id = $1 FOR UPDATE SKIP LOCKED", last)
    await changing
    assert len(free) == 1, "the row with the later id was locked before the other"


_TWICE_A_DEADLOCK = """
    CREATE SEQUENCE tries;
    GRANT ALL ON SEQUENCE tries TO PUBLIC;
    CREATE FUNCTION deadlocked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('tries') <= 2 THEN RAISE EXCEPTION 'in the way' USING ERRCODE = 'deadlock_detected'; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER deadlocked BEFORE UPDATE ON notices FOR EACH ROW WHEN (NEW.status = 'sent')
        EXECUTE FUNCTION deadlocked()"""


async def test_a_mail_that_has_left_is_recorded_through_deadlocks_and_not_sent_again(
    database: MakeDatabase, smtp: Mailbox
) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await execute_as_owner(live.service.settings.database_url, _TWICE_A_DEADLOCK)
        await take(live, order(), later())
        (row,) = await settled(live)
        tries = await live.service.pool.fetchval("SELECT last_value FROM tries")
    assert (row["status"], row["attempts"], len(smtp.messages), tries) == ("sent", 1, 1, 3)
