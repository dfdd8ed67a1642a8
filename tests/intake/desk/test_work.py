"""The work queue: each event opens, moves or ends its items, and every open item has a due time."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.envelope import Payload
from libs.common.events.issues import WindowDeclinedBy
from libs.common.events.registry import decode
from services.intake.domain.projections.work_items import WorkChange, WorkEnded, WorkOpened, fold_changes
from services.intake.domain.projections.work_queue import work_changes
from services.intake.store.timeline import Timeline
from tests.conftest import MakeDatabase
from tests.contracts.reading import SAMPLES, written
from tests.intake.event_builders import event

ZONE = ZoneInfo("Asia/Tokyo")
AT = datetime(2026, 3, 10, 3, tzinfo=UTC)
IDS: dict[str, Any] = {"issue_id": UUID(int=7), "order_id": "O-1", "customer_id": "C-1"}
SHIP, ARRIVE, PICK = date(2026, 3, 11), date(2026, 3, 13), date(2026, 3, 14)

PAYLOADS: dict[str, Payload] = {name: decode(written(sample)).data for name, sample in SAMPLES.items()}
ABOUT_ISSUES = [payload for payload in PAYLOADS.values() if getattr(payload, "issue_id", None)]


def of(type_: str, **fields: Any) -> tuple[WorkChange, ...]:
    """Return the work changes of an event of this type, made from its sample."""
    return work_changes(event(PAYLOADS[type_].model_copy(update={**IDS, **fields}), at=AT), ZONE)


def open_after(*batches: tuple[WorkChange, ...]) -> dict[str, str]:
    """Return the detail of each open item after these changes, by kind and subject."""
    opened, _ = fold_changes([], (change for changes in batches for change in changes))
    return {f"{item.kind} {item.about}".strip(): item.detail for item in opened}


ORDERED = of("issue.replacement_ordered.v1", promised_ship_date=SHIP)
SHIPPED = of("issue.replacement_shipped.v1", expected_delivery_date=ARRIVE)
ACCEPTED = of("issue.accepted.v1")


def test_an_accepted_report_waits_for_what_starts_it() -> None:
    assert open_after(ACCEPTED) == {"progress start": "order"}


def test_a_replacement_waits_for_the_day_it_was_promised_for() -> None:
    assert open_after(ACCEPTED, ORDERED) == {"progress outbound": "ship 2026-03-11"}


def test_a_promise_is_broken_when_its_day_is_over_in_the_shop() -> None:
    (promise,) = [change for change in ORDERED if isinstance(change, WorkOpened)]
    assert promise.due_at == datetime(2026, 3, 11, 14, 59, 59, tzinfo=UTC)


def test_goods_go_out_and_come_back_at_the_same_time() -> None:
    requested = of("issue.collection_requested.v1")
    assert open_after(ACCEPTED, ORDERED, SHIPPED, requested) == {
        "progress outbound": "arrive 2026-03-13",
        "progress inbound": "book",
    }


@pytest.mark.parametrize("end", ["issue.resolved.v1", "issue.cancelled.v1", "issue.rejected.v1"])
def test_nothing_waits_after_the_end(end: str) -> None:
    review = of("issue.review_requested.v1", cause="value", due_at=AT)
    assert open_after(ACCEPTED, review, ORDERED, SHIPPED, of(end)) == {}


def test_a_review_waits_until_what_it_was_about_has_happened() -> None:
    silent = of("issue.review_requested.v1", cause="warehouse_silent", due_at=AT)
    failed = of("issue.review_requested.v1", cause="refund_failed", due_at=AT)
    promised = of("issue.replacement_promised.v1", ship_date=SHIP)
    assert open_after(silent, failed, promised) == {"review refund_failed": "", "progress outbound": "ship 2026-03-11"}


def test_a_question_waits_for_its_answer() -> None:
    asked = of("issue.choice_requested.v1", cause="out_of_stock", due_at=AT + timedelta(days=2))
    assert open_after(ACCEPTED, asked) == {"choice": "out_of_stock", "progress start": "decision"}
    assert open_after(ACCEPTED, asked, of("customer.decided.v1")) == {"progress start": "decision"}


@pytest.mark.parametrize(("score", "waits"), [(0, True), (6, True), (7, False), (10, False)])
def test_an_unhappy_customer_waits_for_staff_even_after_the_end(score: int, waits: bool) -> None:
    rated = of("issue.rated.v1", score=score, resolution=1)
    assert ("unhappy 1" in open_after(rated, of("issue.resolved.v1"))) is waits


def test_a_message_that_did_not_arrive_waits_until_another_one_does() -> None:
    failed = of("notice.failed.v1", cause="mailbox unknown")
    assert open_after(failed) == {"unreached": "mailbox unknown"}
    assert open_after(failed, of("notice.sent.v1")) == {}


@pytest.mark.parametrize("end", ["issue.resolved.v1", "issue.cancelled.v1", "issue.rejected.v1"])
def test_an_anomaly_waits_for_staff_once_and_beyond_the_end_of_its_issue(end: str) -> None:
    reported = of("issue.anomaly_detected.v1", anomaly="unknown_refund", cause_id="transaction:T-1")
    assert open_after(reported, reported, of(end)) == {
        "anomaly unknown_refund transaction:T-1": "refund.completed /payment"
    }


def test_anomalies_with_different_causes_are_different_items() -> None:
    reported = [of("issue.anomaly_detected.v1", cause_id=f"transaction:T-{number}") for number in (1, 2)]
    assert len(open_after(*reported)) == 2


Rows = dict[tuple[UUID, str, str], WorkOpened]


def one_by_one(rows: Rows, changes: list[WorkChange]) -> Rows:
    """Apply each change by itself to the rows."""
    for change in changes:
        if isinstance(change, WorkOpened):
            rows = {**rows, (change.issue_id, change.kind, change.about): change}
        elif isinstance(change, WorkEnded):
            rows = {
                key: row for key, row in rows.items() if not (key[0] == change.issue_id
                and change.kind in (None, key[1]) and (change.about is None or key[2] in change.about))
            }  # fmt: skip
    return rows


@given(st.lists(st.lists(st.sampled_from(ABOUT_ISSUES), max_size=6), max_size=4))
def test_work_in_batches_is_work_one_by_one(batches: list[list[Payload]]) -> None:
    rows: Rows = {}
    expected: Rows = {}
    for batch in batches:
        changes = [change for payload in batch for change in work_changes(event(payload, at=AT), ZONE)]
        opened, ended = fold_changes(rows, changes)
        assert rows.keys() >= set(ended)
        rows = {key: row for key, row in rows.items() if key not in ended}
        rows |= {(item.issue_id, item.kind, item.about): item for item in opened}
        expected = one_by_one(expected, changes)
    assert rows == expected


async def test_rows_follow_the_events(database: MakeDatabase) -> None:
    timeline = Timeline(ZONE)
    async with asyncpg.create_pool(await database("intake"), min_size=1) as pool, pool.acquire() as conn:
        for batch in ([*ACCEPTED, *ORDERED], list(SHIPPED), [WorkEnded(IDS["issue_id"])]):
            await timeline.save(conn, {}, batch)
            rows = await conn.fetch("SELECT about, detail, due_at FROM work_queue")
            opened, _ = fold_changes([], batch)
            assert [(row["about"], row["detail"], row["due_at"]) for row in rows] == [
                (item.about, item.detail, item.due_at) for item in opened
            ]


async def test_an_older_event_moves_nothing_back(database: MakeDatabase) -> None:
    timeline = Timeline(ZONE)
    (promise,) = [change for change in ORDERED if isinstance(change, WorkOpened)]
    older = WorkOpened(promise.issue_id, promise.kind, AT - timedelta(days=1), AT, promise.about, "ship 2026-03-01")
    async with asyncpg.create_pool(await database("intake"), min_size=1) as pool, pool.acquire() as conn:
        for change in (promise, older):
            await timeline.save(conn, {}, [change])
        assert await conn.fetchval("SELECT detail FROM work_queue") == "ship 2026-03-11"


DECLINED = of("issue.collection_window_declined.v1")


def test_a_window_that_the_courier_declined_is_left_to_staff_until_the_time_is_set() -> None:
    assert open_after(DECLINED) == {"window": "courier 2026-11-11"}
    assert "window" not in open_after(DECLINED, of("issue.collection_booked.v1"))


def test_a_window_that_moves_with_the_replacement_needs_nobody() -> None:
    assert open_after(of("issue.collection_window_declined.v1", cause=WindowDeclinedBy.MOVED)) == {}


def test_a_visit_that_is_not_needed_ends_the_wait_for_its_time() -> None:
    assert open_after(DECLINED, of("issue.collection_window_declined.v1", cause=WindowDeclinedBy.NOT_NEEDED)) == {}
