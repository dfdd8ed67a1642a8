"""The checker of a fault run detects events that were not consumed and poison that was not dead-lettered once."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from deploy.verification.evidence import DatabaseEvidence, Fact, History, Row
from deploy.verification.verdict import Violation
from libs.common.events.notices import NoticeKind, NoticeSent
from libs.common.events.registry import decode
from libs.common.events.storefront import OrderCancelled
from libs.common.events.values import Language
from libs.common.messaging.inbox import event_key
from tests.common import wire
from tests.faults.checker import FaultEvidence, verdicts
from tests.faults.poison import POISON_HEADER
from tests.faults.subscriptions import SubscribedType

EVENT = wire.event_bytes(OrderCancelled(order_id="a", cause="one", cancelled_at=datetime(2026, 3, 2, tzinfo=UTC)))
CANCELLED = Fact("storefront.orders", 0, 7, "a", EVENT)
POISON = Fact("storefront.orders", 1, 3, "a", b"\xff", headers={POISON_HEADER: "bytes"})
TAKEN = SubscribedType("intake", "tallies", "storefront.orders", "order.cancelled.v1")
DEAD_LETTER = {"aggregate": "tallies", "topic": "run.storefront.orders", "partition": 1, "offset": 3}


IDS = ["8a6a8cb3-4a0d-4d6f-9d0b-3f6f5e1c2b11", "0193f2c4-5e6a-7abc-8def-0123456789ab", "run.17", ".5"]


def evidence(*, marks: frozenset[bytes], dead_letters: list[Row]) -> FaultEvidence:
    databases = {"intake": DatabaseEvidence({"dead-lettered poison": dead_letters})}
    history = History([CANCELLED], ZoneInfo("Asia/Tokyo"), datetime(2026, 3, 2, tzinfo=UTC), databases)
    return FaultEvidence(history, [POISON], {"intake": marks}, [TAKEN], "run.")


def mark() -> bytes:
    """The inbox key as the service computes it."""
    return event_key("tallies", decode(EVENT))


def found(fault_evidence: FaultEvidence, name: str) -> tuple[Violation, ...]:
    return next(verdict.violations or () for verdict in verdicts(fault_evidence) if verdict.name == name)


def test_consumed_events_and_poison_dead_lettered_once_are_no_violation() -> None:
    fault_evidence = evidence(marks=frozenset({mark()}), dead_letters=[DEAD_LETTER])
    assert found(fault_evidence, "consumed_once") == ()
    assert found(fault_evidence, "poison_dead_lettered_once") == ()


@pytest.mark.parametrize("event_id", IDS)
def test_the_inbox_key_of_an_event_is_the_one_of_the_service(event_id: str) -> None:
    value = wire.event_bytes(decode(EVENT).data, event_id)
    marks = frozenset({event_key("tallies", decode(value))})
    fault_evidence = evidence(marks=marks, dead_letters=[DEAD_LETTER])
    story = replace(fault_evidence.history, facts=[replace(CANCELLED, value=value)])
    assert found(replace(fault_evidence, history=story), "consumed_once") == ()


def test_an_event_without_an_inbox_key_is_named() -> None:
    seen = found(evidence(marks=frozenset(), dead_letters=[DEAD_LETTER]), "consumed_once")
    assert [(violation.description, violation.records) for violation in seen] == [
        ("intake: did not consume order.cancelled", (str(CANCELLED),))
    ]


@pytest.mark.parametrize("times", [0, 2])
def test_poison_that_was_lost_or_dead_lettered_twice_is_named(times: int) -> None:
    seen = found(evidence(marks=frozenset({mark()}), dead_letters=[DEAD_LETTER] * times), "poison_dead_lettered_once")
    assert [violation.description for violation in seen] == [f"intake: poison (bytes) was dead-lettered {times} times"]
    assert seen[0].records == (str(POISON),)


def test_without_faults_a_repeat_on_the_topic_is_named() -> None:
    fault_evidence = evidence(marks=frozenset({mark()}), dead_letters=[DEAD_LETTER])
    history = replace(fault_evidence.history, facts=[CANCELLED, replace(CANCELLED, offset=8)])
    assert found(replace(fault_evidence, history=history, fault_free=True), "no_duplicates")


def test_a_mail_that_no_server_accepted_is_named() -> None:
    ids: dict[str, Any] = {"notice_id": UUID(int=1), "order_id": "a", "customer_id": "C-1"}
    how: dict[str, Any] = {"channel": "email", "language": Language.JA, "sent_at": datetime(2026, 3, 2, tzinfo=UTC)}
    sent = NoticeSent(**ids, kind=NoticeKind.REPLACEMENT_PROMISED, **how)
    fact = Fact("notices", 0, 1, "C-1", wire.event_bytes(sent))
    fault_evidence = evidence(marks=frozenset({mark()}), dead_letters=[DEAD_LETTER])
    lost = replace(fault_evidence, history=replace(fault_evidence.history, facts=[fact]))
    assert len(found(lost, "mails_arrived")) == 1
    assert found(replace(lost, accepted_mails={f"<{UUID(int=1)}@example.jp>": 2}), "mails_arrived") == ()


def test_a_mail_of_several_notices_arrives_for_each_of_them() -> None:
    notice_id, group_id = UUID(int=1), UUID(int=2)
    how: dict[str, Any] = {"channel": "email", "language": Language.JA, "sent_at": datetime(2026, 3, 2, tzinfo=UTC)}
    sent = NoticeSent(notice_id=notice_id, order_id="a", customer_id="C-1", kind=NoticeKind.REPLACEMENT_PROMISED, **how)
    facts = [Fact("notices", 0, 1, "C-1", wire.event_bytes(sent))]
    grouped = evidence(marks=frozenset({mark()}), dead_letters=[DEAD_LETTER])
    grouped = replace(grouped, history=replace(grouped.history, facts=facts), group_ids={str(notice_id): str(group_id)})
    assert len(found(grouped, "mails_arrived")) == 1
    assert found(replace(grouped, accepted_mails={f"<{group_id}@example.jp>": 1}), "mails_arrived") == ()
