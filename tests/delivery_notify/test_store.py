"""Conversations, notices and promises on a real Postgres."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.events import issues as ev
from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeKind
from libs.common.messaging.decision_runner import DecisionRunner, Incoming
from libs.common.postgres.pool import Connection
from libs.common.telemetry.tracing import Tracing
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from services.delivery_notify.store import conversations, notice_outcomes, notice_queue, promises, staff_notices
from services.delivery_notify.store.conversations import Conversations
from services.delivery_notify.store.notice_outcomes import BatchOutcomes, Completed, Deferred, FellBack, Rescheduled
from services.delivery_notify.store.notice_queue import ClaimedNotice
from tests.conftest import MakeDatabase, as_owner
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    MONDAY,
    NEXT_FRIDAY,
    NEXT_WEDNESDAY,
    ORDER,
    RULES,
    issue,
    line,
    placed,
)
from tests.delivery_notify.order_events import changed, shipped

LEASE = timedelta(minutes=5)


class Monday:
    """The shop's clock stands still."""

    def now(self) -> datetime:
        return MONDAY

    def real_seconds(self, span: timedelta) -> float:
        return span.total_seconds()

    def on_set(self, callback: Callable[[], None]) -> None:
        """It is never set."""


@pytest.fixture
async def conn(database: MakeDatabase) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("delivery_notify"))
    yield connection
    await connection.close()


async def apply(conn: Connection, *payloads: Payload) -> None:
    shell = DecisionRunner("delivery_notify", Monday(), Tracing("delivery_notify", None))
    async with conn.transaction():
        await shell.apply(
            conn,
            Conversations(replace(RULES, batching_delay=timedelta(0))),
            [Incoming(shell.event(payload)) for payload in payloads],
        )


async def test_a_batch_is_written_and_read_back(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    found = await conversations.read_conversation(conn, ORDER)
    assert found is not None
    assert (found[0].lines[0].shipping.day, found[1] and found[1].email) == (NEXT_FRIDAY, "hanako@example.jp")


async def test_a_stored_conversation_leaves_out_what_is_as_it_is_by_default(conn: Connection) -> None:
    """It is read and written with each of its events, and most of its fields are empty most of the time."""
    await apply(conn, placed())
    body = json.loads(await conn.fetchval("SELECT body FROM conversations"))
    assert {name: value for name, value in body.items() if value == getattr(Conversation(ORDER), name)} == {
        "order_id": ORDER
    }


async def test_every_promise_stays_written(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    rows = await promises.list_promises(conn, ORDER)
    assert [(row["version"], row["day"], row["source"]) for row in rows] == [
        (1, FRIDAY, "order.placed"),
        (2, NEXT_FRIDAY, "order.promise_changed"),
    ]


@pytest.mark.parametrize("statement", ["UPDATE promises SET day = day", "DELETE FROM promises"])
async def test_a_promise_can_neither_be_changed_nor_removed_even_by_its_owner(
    database: MakeDatabase, statement: str
) -> None:
    owner = await asyncpg.connect(as_owner(await database("delivery_notify")))
    await apply(owner, placed())
    with pytest.raises(asyncpg.RaiseError, match="append-only"):
        await owner.execute(statement)
    await owner.close()


async def test_a_claimed_notice_is_leased_to_one_sender(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    first = await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)
    assert ([each.kind for each in first], await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)) == (
        [NoticeKind.ORDER_DELAYED],
        [],
    )


async def test_a_lease_that_is_over_lets_another_sender_take_the_notice(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    await notice_queue.claim_notices(conn, MONDAY, 10, timedelta(0))
    again = await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)
    assert [each.attempts for each in again] == [2]


async def test_two_senders_never_claim_the_same_notice(database: MakeDatabase) -> None:
    url = await database("delivery_notify")
    one, two = await asyncpg.connect(url), await asyncpg.connect(url)
    orders = [f"O-{n}" for n in range(4)]
    await apply(one, *(placed(order_id=order) for order in orders))
    await apply(one, *(changed(NEXT_FRIDAY).model_copy(update={"order_id": order}) for order in orders))
    async with one.transaction():
        mine = await notice_queue.claim_notices(one, MONDAY, 2, LEASE)
        theirs = await notice_queue.claim_notices(two, MONDAY, 10, LEASE)
    await one.close()
    await two.close()
    assert (len(mine), len(theirs), len({each.notice_id for each in (*mine, *theirs)})) == (2, 2, 4)


async def test_a_notice_whose_outcome_is_recorded_is_never_claimed_again(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    (claimed,) = await notice_queue.claim_notices(conn, MONDAY, 10, timedelta(0))
    await notice_outcomes.complete_notices(conn, [Completed(claimed.notice_id, "sent", "email", "ja")], MONDAY)
    assert await notice_queue.claim_notices(conn, MONDAY, 10, LEASE) == []


async def test_an_outcome_is_recorded_once(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    (claimed,) = await notice_queue.claim_notices(conn, MONDAY, 10, timedelta(0))
    outcome = Completed(claimed.notice_id, "sent", "email", "ja")
    await notice_outcomes.complete_notices(conn, [outcome], MONDAY)
    assert await notice_outcomes.complete_notices(conn, [outcome], MONDAY) == set()


async def two_senders(conn: Connection) -> tuple[ClaimedNotice, ClaimedNotice]:
    """Claim one notice twice: the lease of the first sender ends while it sends."""
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    (slow,) = await notice_queue.claim_notices(conn, MONDAY, 10, timedelta(0))
    (other,) = await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)
    return slow, other


async def record(conn: Connection, claimed: ClaimedNotice, **outcome: Any) -> set[UUID]:
    leases = {claimed.notice_id: claimed.leased_until}
    async with conn.transaction():
        return await notice_outcomes.record_outcomes(conn, BatchOutcomes(leases, **outcome), MONDAY)


@pytest.mark.parametrize(
    "outcome",
    [
        lambda id: {"rescheduled": [Rescheduled(id, "smtp 451 data", timedelta(0))]},
        lambda id: {"rescheduled": [Rescheduled(id, "not_tried", timedelta(0), counts=False)]},
        lambda id: {"fell_back": [FellBack(id, "email", "smtp 550 data")]},
        lambda id: {"deferred": [Deferred(id, MONDAY, "quiet_hours", False)]},
        lambda id: {"completed": [Completed(id, "failed", "email", cause="smtp 550 data")]},
    ],
)
async def test_an_outcome_after_the_lease_leaves_the_notice_to_the_sender_that_has_it(
    conn: Connection, outcome: Callable[[UUID], dict[str, Any]]
) -> None:
    slow, other = await two_senders(conn)
    assert await record(conn, slow, **outcome(slow.notice_id)) == set()
    assert await notice_queue.claim_notices(conn, MONDAY, 10, LEASE) == []
    sent = Completed(other.notice_id, "sent", "email", "ja")
    assert await record(conn, other, completed=[sent]) == {other.notice_id}


async def test_a_message_that_was_sent_counts_also_after_its_lease(conn: Connection) -> None:
    slow, other = await two_senders(conn)
    await record(conn, other, rescheduled=[Rescheduled(other.notice_id, "smtp 451 data", timedelta(0))])
    sent = Completed(slow.notice_id, "sent", "email", "ja")
    assert await record(conn, slow, completed=[sent]) == {slow.notice_id}
    assert await notice_queue.claim_notices(conn, MONDAY, 10, LEASE) == []


async def test_a_staff_notice_keeps_the_outcome_of_the_sender_that_has_it(conn: Connection) -> None:
    await staff_notices.save(conn, [StaffNoticeCreated(StaffKind.DEAD_LETTERS, ("t",), MONDAY, {"topic": "t"})])
    (slow,) = await staff_notices.claim(conn, 1, timedelta(0))
    (other,) = await staff_notices.claim(conn, 1, LEASE)
    await staff_notices.reschedule(conn, slow, "http 503", timedelta(0), counts=True)
    await staff_notices.settle(conn, slow, "failed", "slack", "http 400", MONDAY)
    assert await staff_notices.claim(conn, 1, LEASE) == []
    await staff_notices.settle(conn, other, "sent", "slack", None, MONDAY)
    await staff_notices.settle(conn, slow, "failed", "slack", "http 400", MONDAY)
    assert await conn.fetchval("SELECT status FROM staff_notices") == "sent"


async def test_a_notice_that_was_overtaken_is_claimed_as_withdrawn(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY), shipped())
    assert [each.withdrawn for each in await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)] == ["shipped"]


async def test_a_notice_without_a_contact_waits_and_then_is_claimed_without_one(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    await conn.execute("DELETE FROM contacts")
    assert await notice_queue.claim_notices(conn, MONDAY, 10, LEASE) == []
    late = await notice_queue.claim_notices(conn, MONDAY + conversations.CONTACT_TIMEOUT, 10, LEASE)
    assert [each.contact for each in late] == [None]


async def test_a_notice_that_is_put_off_waits_by_the_wall_clock(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    (claimed,) = await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)
    await notice_outcomes.reschedule_notices(
        conn, [Rescheduled(claimed.notice_id, "smtp 451 data", timedelta(minutes=1))]
    )
    assert await notice_queue.claim_notices(conn, MONDAY + timedelta(days=1), 10, LEASE) == []


async def test_a_notice_that_was_not_tried_gets_its_attempt_back(conn: Connection) -> None:
    await apply(conn, placed(), changed(NEXT_FRIDAY))
    (claimed,) = await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)
    await notice_outcomes.reschedule_notices(
        conn, [Rescheduled(claimed.notice_id, "not_tried", timedelta(0), counts=False)]
    )
    assert [each.attempts for each in await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)] == [1]


async def two_of_one_order(conn: Connection) -> None:
    """A delay of the order, then the answer to a report."""
    await apply(conn, placed(), changed(NEXT_FRIDAY), issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered))


async def test_the_notices_of_an_order_leave_one_after_the_other(conn: Connection) -> None:
    await two_of_one_order(conn)
    (first,) = await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)
    await notice_outcomes.complete_notices(conn, [Completed(first.notice_id, "sent", "email", "ja")], MONDAY)
    (second,) = await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)
    assert (first.kind, second.kind) == (NoticeKind.ORDER_DELAYED, NoticeKind.ISSUE_ACCEPTED)


async def test_a_notice_waits_for_an_earlier_one_of_its_order_that_was_put_off(conn: Connection) -> None:
    await two_of_one_order(conn)
    (first,) = await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)
    await notice_outcomes.reschedule_notices(conn, [Rescheduled(first.notice_id, "smtp 451 data", timedelta(hours=1))])
    assert await notice_queue.claim_notices(conn, MONDAY, 10, LEASE) == []


async def test_a_notice_does_not_wait_for_one_that_was_withdrawn(conn: Connection) -> None:
    await two_of_one_order(conn)
    await conn.execute("UPDATE notices SET withdrawn_cause = 'superseded' WHERE kind = 'order_delayed'")
    claimed = await notice_queue.claim_notices(conn, MONDAY, 10, LEASE)
    assert {each.kind for each in claimed} == {NoticeKind.ORDER_DELAYED, NoticeKind.ISSUE_ACCEPTED}


async def test_a_pending_notice_about_two_lines_keeps_the_line_without_a_newer_date(conn: Connection) -> None:
    await apply(conn, placed(line("1"), line("2")), changed(NEXT_WEDNESDAY, 1), changed(NEXT_FRIDAY, 2, "1"))
    rows = await conversations.list_notices(conn, ORDER)
    facts = [json.loads(json.dumps(row["facts"])) for row in rows]
    announced = [[(line["line_id"], each["day"]) for line in each["lines"]] for each in facts]
    assert announced == [[("2", "2027-03-10")], [("1", "2027-03-12")]]
