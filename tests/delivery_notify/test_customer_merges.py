"""Merged customers: conversations, notices and consents of the former account are those of the account that remains."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.decisions.facts import TimerFired
from libs.common.events import issues as ev
from libs.common.events.customers import CustomerErasureRequested
from libs.common.events.envelope import Payload
from libs.common.events.storefront import CustomerMerged
from libs.common.messaging.consumer import Consumer
from services.delivery_notify.domain.decide import MERGED
from services.delivery_notify.domain.notices import PointsDecided
from services.delivery_notify.store.preferences import ContactPreferences, read_preferences, save_preferences
from tests.common.records import record
from tests.common.wire import event_bytes
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import (
    CUSTOMER,
    ISSUE,
    MONDAY,
    ORDER,
    ConversationDriver,
    drive,
    issue,
    of,
    placed,
)
from tests.delivery_notify.service import notifying, settled, take
from tests.delivery_notify.test_collection_notices import WARNED
from tests.delivery_notify.test_points import granted, withheld
from tests.running import Live

REMAINING = "C-NEW"
EARLY, LATE = MONDAY, MONDAY + timedelta(days=1)
BEFORE = datetime.now(UTC) - timedelta(days=1)
"""An order of the past: an erasure covers nothing that is stated after it."""


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with notifying(await database("delivery_notify")) as live:
        yield live


async def merge(live: Live, former: str = CUSTOMER, remaining: str = REMAINING) -> None:
    fact = CustomerMerged(customer_id=remaining, merged_customer_id=former, merged_at=MONDAY)
    await live.service.execute(live.service.aggregates["customer_merges"], live.service.event(fact))


async def owners(live: Live) -> set[str | None]:
    """Return every customer that a row of the service names."""
    rows = await live.service.pool.fetch(
        """SELECT customer_id FROM conversations UNION SELECT body ->> 'customer_id' FROM conversations
           UNION SELECT customer_id FROM contacts UNION SELECT customer_id FROM notices
           UNION SELECT json_array_elements(body -> 'threads') ->> 'customer_id' FROM conversations"""
    )
    return {row["customer_id"] for row in rows} - {None}


async def test_a_conversation_with_its_notices_follows_the_customer(live: Live) -> None:
    await take(live, placed(), issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered))
    await merge(live)
    await merge(live)
    assert await owners(live) == {REMAINING}


async def test_a_late_event_of_the_former_account_is_heard_by_the_customer(live: Live) -> None:
    await take(live, placed())
    await merge(live)
    await take(live, issue(ev.IssueAccepted), issue(ev.IssueReplacementShipped))
    assert [row["customer_id"] for row in await settled(live)] == [REMAINING]


async def test_a_notice_of_an_issue_before_its_order_reaches_the_merged_customer(live: Live) -> None:
    await take(live, issue(ev.IssueReplacementShipped))
    await merge(live)
    await take(live, placed())
    assert [row["status"] for row in await settled(live)] == ["sent"]


async def test_a_warning_before_its_order_reaches_the_merged_customer(live: Live) -> None:
    """No conversation names the customer of the warning yet."""
    await take(live, WARNED)
    await merge(live)
    await take(live, placed())
    assert [row["status"] for row in await settled(live)] == ["sent"]


async def test_a_chain_that_arrives_backwards_ends_at_the_last_account(live: Live) -> None:
    await take(live, placed())
    await merge(live, "b", "c")
    await merge(live, CUSTOMER, "b")
    assert await owners(live) == {"c"}


async def consent(live: Live, customer_id: str, at: Any, **wanted: Any) -> None:
    async with live.service.pool.acquire() as conn:
        await save_preferences(conn, customer_id, ContactPreferences(**wanted), at)


async def kept(live: Live, customer_id: str = REMAINING) -> ContactPreferences | None:
    async with live.service.pool.acquire() as conn:
        return await read_preferences(conn, customer_id)


async def test_consents_of_the_former_account_stay(live: Live) -> None:
    await consent(live, CUSTOMER, EARLY, channels=("line",), line_user_id="U-1")
    await merge(live)
    assert await kept(live) == ContactPreferences(("line",), line_user_id="U-1")


@pytest.mark.parametrize(("former_at", "remaining_at", "channel"), [(EARLY, LATE, "sms"), (LATE, EARLY, "line")])
async def test_of_two_consents_the_later_one_counts(
    live: Live, former_at: Any, remaining_at: Any, channel: str
) -> None:
    await consent(live, CUSTOMER, former_at, channels=("line",), line_user_id="U-1")
    await consent(live, REMAINING, remaining_at, channels=("sms",), phone="+819012345678")
    await merge(live)
    assert await kept(live) == ContactPreferences((channel,), line_user_id="U-1", phone="+819012345678")


async def test_a_consent_under_the_former_id_is_one_of_the_customer(live: Live) -> None:
    await merge(live)
    await consent(live, CUSTOMER, EARLY, channels=("sms",))
    assert await kept(live) == ContactPreferences(("sms",)) == await kept(live, CUSTOMER)


async def erase(live: Live, customer_id: str) -> None:
    request = CustomerErasureRequested(customer_id=customer_id, erasure_id=ISSUE, requested_at=datetime.now(UTC))
    await live.service.execute(live.service.aggregates["erasures"], live.service.event(request))


@pytest.mark.parametrize("named", [CUSTOMER, REMAINING])
async def test_an_erasure_finds_the_contact_under_either_id(live: Live, named: str) -> None:
    await take(live, placed(placed_at=BEFORE))
    await merge(live)
    await erase(live, named)
    assert await live.service.pool.fetchval("SELECT count(*) FROM contacts") == 0


async def test_an_order_sent_again_after_erasure_and_merge_brings_no_contact(live: Live) -> None:
    await take(live, placed(placed_at=BEFORE))
    await erase(live, CUSTOMER)
    await merge(live)
    await take(live, placed(placed_at=BEFORE))
    assert await live.service.pool.fetchval("SELECT count(*) FROM contacts WHERE email <> 'erased@invalid'") == 0


@pytest.mark.parametrize(
    ("merges", "last"),
    [
        ([(CUSTOMER, REMAINING)], REMAINING),
        ([(REMAINING, "c"), (CUSTOMER, REMAINING)], "c"),
        ([(CUSTOMER, "c"), (REMAINING, "c")], "c"),
    ],
)
async def test_an_event_of_the_remaining_account_waits_for_the_merge(
    live: Live, merges: list[tuple[str, str]], last: str
) -> None:
    await take(live, placed(), issue(ev.IssueReplacementShipped, customer_id=REMAINING))
    assert await live.service.pool.fetchval("SELECT count(*) FROM notices") == 0
    for former, remaining in merges:
        await merge(live, former, remaining)
    assert [(row["customer_id"], row["status"]) for row in await settled(live)] == [(last, "sent")]


def merged_later(*payloads: Payload) -> ConversationDriver:
    """Return the conversation after events of the remaining account, before `customer.merged`."""
    driver = drive(placed(), *payloads)
    driver.state = driver.conversation.with_customer(CUSTOMER, REMAINING)
    return driver


def test_events_that_waited_for_a_merge_come_before_a_later_one() -> None:
    driver = merged_later(issue(ev.IssueAccepted, customer_id=REMAINING))
    driver.handle(issue(ev.IssueReplacementShipped, customer_id=REMAINING))
    (thread,) = driver.conversation.threads
    assert (thread.items[0].name, driver.conversation.held) == ("マグカップ 1", ())


def test_points_of_the_remaining_account_are_in_the_last_notice_after_the_merge() -> None:
    driver = merged_later(issue(ev.IssueAccepted), issue(ev.IssueResolved), granted(customer_id=REMAINING))
    driver.handle(TimerFired(name=MERGED, due_at=MONDAY), ORDER)
    assert [each.points for each in of(driver.facts, PointsDecided)] == [549]


def test_withheld_points_of_the_remaining_account_release_the_last_notice_after_the_merge() -> None:
    none = withheld().model_copy(update={"customer_id": REMAINING})
    driver = merged_later(issue(ev.IssueAccepted), issue(ev.IssueResolved), none)
    driver.handle(TimerFired(name=MERGED, due_at=MONDAY), ORDER)
    assert [each.notice_id for each in of(driver.facts, PointsDecided)] == [driver.notices[0].notice_id]


def test_an_event_of_a_stranger_stays_held_after_a_merge() -> None:
    driver = merged_later(issue(ev.IssueReplacementShipped, customer_id="C-STRANGER"))
    driver.handle(TimerFired(name=MERGED, due_at=MONDAY), ORDER)
    assert driver.notices == []


async def test_a_merge_counts_for_the_events_of_its_own_batch(live: Live) -> None:
    service = live.service
    consumer = Consumer(service.decisions, service.pool, service.subscriptions, service.wake_relay)
    merged = CustomerMerged(customer_id=REMAINING, merged_customer_id=CUSTOMER, merged_at=MONDAY)
    await take(live, placed())
    shipped = issue(ev.IssueReplacementShipped, customer_id=REMAINING)
    await consumer.handle(
        [
            record(0, ORDER, event_bytes(shipped, source="/returns"), topic=shipped.TOPIC.name),
            record(0, REMAINING, event_bytes(merged), topic=merged.TOPIC.name),
        ]
    )
    assert ("anomaly", "issue_of_another_customer") not in service.decisions.counters.values
    assert [row["customer_id"] for row in await settled(live)] == [REMAINING]
