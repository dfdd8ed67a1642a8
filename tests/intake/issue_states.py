"""Data for pages: one issue in each state, built from events as the topics carry them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from aiokafka import ConsumerRecord

from libs.common.decisions.ids import derived_id
from libs.common.events import issues, loyalty, notices, storefront
from libs.common.events.envelope import Payload
from libs.common.events.values import Choice, Language, LineQuantity, Money, Reason, Remedy, TimeWindow
from libs.common.messaging import dead_letters
from services.intake.desk.accounts import HASHER, StaffRole
from services.intake.store import staff as staff_store
from tests.common import wire
from tests.intake.event_builders import CUSTOMER, ORDER, delivered, line, placed
from tests.intake.service_calls import body
from tests.outbox import take_events
from tests.running import STOREFRONT, Live

PASSWORD = "a long password for tests"
_HASH = HASHER.hash(PASSWORD)


async def hire(live: Live, name: str, role: StaffRole, language: Language = Language.EN) -> None:
    async with live.service.pool.acquire() as conn:
        await staff_store.add_account(conn, name, _HASH, role, language, live.service.clock.now())


async def deliver(live: Live, order_id: str, name: str = "南部鉄器 急須") -> None:
    """Place and deliver an order of two pieces."""
    now = datetime.now(UTC)
    lines = [line("1").model_copy(update={"name": name}), line("2", 1)]
    for news in (placed(*lines, order_id=order_id, at=now), delivered(order_id=order_id, at=now)):
        await live.service.execute(live.service.aggregates["orders"], news)


async def apply_events(live: Live, *payloads: Payload, at: datetime | None = None) -> None:
    """Apply events to the timeline, as its consumer does."""
    for payload in payloads:
        event = live.service.event(payload)
        event = event.model_copy(update={"time": at}) if at else event
        await live.service.execute(live.service.aggregates["timeline"], event)


async def report(
    live: Live, order_id: str, reason: Reason = Reason.DEFECTIVE, ago: timedelta = timedelta(0), **fields: Any
) -> UUID:
    """Post a report that is accepted, apply its events to the timeline and return the issue's id."""
    content = body(order_id=order_id, reason=reason, **fields)
    headers = {**STOREFRONT, "Idempotency-Key": f"report of {order_id} {reason}"}
    answer = await live.client.post("/v1/issues", json=content, headers=headers)
    assert answer.status_code == 202, answer.text
    issue_id = UUID(answer.json()["issue_id"])
    for event in await take_events(live.service.pool):
        await apply_events(live, event.data, at=event.time - ago)
    await live.service.pool.execute(
        "UPDATE issues SET reported_at = reported_at - $2::interval, progress_at = progress_at - $2::interval,"
        " lifecycle_at = lifecycle_at - $2::interval WHERE issue_id = $1",
        issue_id,
        ago,
    )
    return issue_id


class Case:
    """Events of the other services about one issue."""

    def __init__(self, live: Live, issue_id: UUID, order_id: str) -> None:
        self.live, self.now = live, datetime.now(UTC)
        self.ids: dict[str, Any] = {"issue_id": issue_id, "order_id": order_id, "customer_id": CUSTOMER}
        self.replacement = derived_id("replacement", issue_id)

    async def publish(self, *payloads: Payload, ago: timedelta = timedelta(0)) -> None:
        await apply_events(self.live, *payloads, at=self.now - ago)

    def ordered(self, ships_in: int = 1) -> Payload:
        lines = (LineQuantity(line_id="1", quantity=1),)
        return issues.IssueReplacementOrdered(
            **self.ids, replacement_id=self.replacement, remedy=Remedy.REPLACEMENT, lines=lines,
            promised_ship_date=self.day(ships_in), ordered_at=self.now,
        )  # fmt: skip

    def promised(self, ships_in: int = 1) -> Payload:
        return issues.IssueReplacementPromised(
            **self.ids, replacement_id=self.replacement, ship_date=self.day(ships_in), version=1
        )

    def shipped(self, arrives_in: int = 2) -> Payload:
        return issues.IssueReplacementShipped(
            **self.ids, replacement_id=self.replacement, shipped_at=self.now, carrier="yamato",
            expected_delivery_date=self.day(arrives_in), tracking_number="1234-5678-9012",
        )  # fmt: skip

    def arrived(self) -> Payload:
        return issues.IssueReplacementDelivered(**self.ids, replacement_id=self.replacement, delivered_at=self.now)

    def requested(self) -> Payload:
        return issues.IssueCollectionRequested(
            **self.ids, collection_id=self.replacement, earliest_date=self.day(2), requested_at=self.now
        )

    def booked(self, in_days: int = 3) -> Payload:
        window = TimeWindow(day=self.day(in_days), from_hour=14, to_hour=16)
        return issues.IssueCollectionBooked(**self.ids, collection_id=self.replacement, window=window)

    def resolved(self) -> Payload:
        from libs.common.events.values import Fault

        return issues.IssueResolved(
            **self.ids, remedy=Remedy.REPLACEMENT, reason=Reason.DEFECTIVE, fault=Fault.MERCHANT,
            value=Money(amount="4980", currency="JPY"), resolved_at=self.now,
        )  # fmt: skip

    def review(self, cause: str = "value", due_in: timedelta = timedelta(hours=20)) -> Payload:
        return issues.IssueReviewRequested(**self.ids, cause=cause, due_at=self.now + due_in)

    def asked(self) -> Payload:
        return issues.IssueChoiceRequested(
            **self.ids, choice_id=self.replacement, cause="out_of_stock", options=(Choice.WAIT, Choice.REFUND),
            default=Choice.WAIT, restock_date=self.day(9), due_at=self.now + timedelta(hours=10),
        )  # fmt: skip

    def noticed(self, kind: notices.NoticeKind, day: int | None = None) -> Payload:
        return notices.NoticeSent(
            **self.ids, notice_id=derived_id("notice", self.ids["issue_id"], kind), kind=kind, channel="mail",
            language=Language.JA, promised_date=self.day(day) if day is not None else None, sent_at=self.now,
        )  # fmt: skip

    def unreached(self) -> Payload:
        return notices.NoticeFailed(
            **self.ids, notice_id=self.replacement, kind=notices.NoticeKind.REPLACEMENT_SHIPPED, channel="mail",
            cause="mailbox_unknown", failed_at=self.now,
        )  # fmt: skip

    def points(self) -> Payload:
        return loyalty.PointsGranted(
            customer_id=CUSTOMER, entry_id=self.replacement, points=300, cause=f"issue:{self.ids['issue_id']}",
            issue_id=self.ids["issue_id"], order_id=self.ids["order_id"], rule="apology", granted_at=self.now,
        )  # fmt: skip

    def day(self, ahead: int) -> Any:
        return (self.now + timedelta(days=ahead)).date()


async def open_case(
    # long enough ago for everything that follows
    live: Live,
    order_id: str,
    reason: Reason = Reason.DEFECTIVE,
    ago: timedelta = timedelta(days=3, hours=1),
    **more: Any,
) -> Case:
    await deliver(live, order_id)
    return Case(live, await report(live, order_id, reason, ago, **more), order_id)


async def a_busy_day(live: Live) -> dict[str, Case]:
    """Create one issue in each state and return them by name."""
    kinds = notices.NoticeKind
    review = await open_case(live, "SD-2026-0101", description="注ぎ口が割れていました。\n箱はきれいでした。")
    await review.publish(review.review(), ago=timedelta(hours=12))
    late = await open_case(live, "SD-2026-0102", Reason.DAMAGED_IN_TRANSIT)
    await late.publish(late.ordered(-1), late.noticed(kinds.REPLACEMENT_PROMISED, -1), ago=timedelta(days=3))
    stalled = await open_case(live, "SD-2026-0103", Reason.MISSING_PART)
    asked = await open_case(live, "SD-2026-0104", Reason.WRONG_ITEM)
    await asked.publish(asked.asked(), ago=timedelta(days=2))
    in_transit = await open_case(live, "SD-2026-0105")
    await in_transit.publish(
        in_transit.ordered(0), in_transit.noticed(kinds.REPLACEMENT_PROMISED, 0), ago=timedelta(days=1)
    )
    await in_transit.publish(
        in_transit.shipped(), in_transit.noticed(kinds.REPLACEMENT_SHIPPED, 2), in_transit.requested(),
        in_transit.booked(), ago=timedelta(hours=2),
    )  # fmt: skip
    await in_transit.publish(in_transit.noticed(kinds.COLLECTION_BOOKED, 3), in_transit.unreached())
    done = await open_case(live, "SD-2026-0106")
    await done.publish(
        done.ordered(), done.shipped(), done.arrived(), done.resolved(), done.points(), ago=timedelta(days=1)
    )
    await done.publish(issues.IssueRated(**done.ids, score=3, rated_at=done.now))
    return {
        "review": review, "late": late, "stalled": stalled, "asked": asked, "in_transit": in_transit, "done": done
    }  # fmt: skip


async def store_dead_letter(
    live: Live, aggregate: str, payloads: Sequence[Payload], error: str = "ValueError: not today"
) -> int:
    """Store events as dead letters and return the id of the first."""
    records = [
        ConsumerRecord(
            topic=payload.TOPIC.name,
            partition=0,
            offset=number,
            timestamp=1_767_225_600_000,
            timestamp_type=0,
            key=payload.key.encode(),
            value=wire.event_bytes(payload),
            checksum=None,
            serialized_key_size=1,
            serialized_value_size=1,
            headers=(),
        )
        for number, payload in enumerate(payloads)
    ]
    async with live.service.pool.acquire() as conn:
        await dead_letters.store(
            conn,
            aggregate,
            [dead_letters.DeadLetter(record, dead_letters.DeadLetterReason.FAILED, error) for record in records],
        )
        found: int = await conn.fetchval("SELECT min(id) FROM dead_letters WHERE state = 'open'")
    return found


def an_order(order_id: str = ORDER) -> storefront.OrderPlaced:
    event = placed(order_id=order_id, at=datetime.now(UTC))
    assert isinstance(event.data, storefront.OrderPlaced)
    return event.data
