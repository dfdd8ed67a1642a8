"""Histories that break an invariant by requests of customers, or by corrections in a run of minutes."""

from dataclasses import replace
from datetime import timedelta

from tests.verification.histories import HOME, START, HistoryBuilder, corrected
from tests.verification.tampering import Tamper, with_event


def _sent_to_the_old_door_after_a_rest(story: HistoryBuilder) -> HistoryBuilder:
    """All happens within minutes; the correction had been read before the replacement was ordered."""
    story = corrected(story).with_data("replacement.ordered", ship_to=HOME).rescheduled("replacement.shipped", 72.1)
    story = story.rescheduled("order.changed", 71.9)
    return replace(story, rests=[(START + timedelta(hours=71.95)).timestamp()])


REQUEST = {"order_id": "S1", "customer_id": "C1", "choice_id": "q1", "choice": "cancel"}


def requested(story: HistoryBuilder) -> HistoryBuilder:
    """The customer asks for a cancellation, to be answered within a day."""
    answer_by = (START + timedelta(hours=84)).isoformat()
    return with_event(story, "notices", "customer.decided", 60, **REQUEST, answer_by=answer_by)


def settled(story: HistoryBuilder, hours: float = 70) -> HistoryBuilder:
    return with_event(story, "notices", "customer.decision_settled", hours, **REQUEST, outcome="declined")


def overdue(story: HistoryBuilder) -> HistoryBuilder:
    """The deadline passes, and the next update is announced."""
    answer_by = (START + timedelta(hours=108)).isoformat()
    return with_event(story, "notices", "customer.decision_overdue", 84, **REQUEST, answer_by=answer_by)


def announced(story: HistoryBuilder, kind: str = "change_declined") -> HistoryBuilder:
    changed = replace(story, facts=list(story.facts))
    changed.notice(kind, 71)
    return changed


TAMPERED_REQUESTS: list[tuple[str, str, Tamper]] = [
    ("corrections_count", "an order to the old door in a short run", _sent_to_the_old_door_after_a_rest),
    ("requests_answered", "a request without an outcome", requested),
    ("requests_answered", "an outcome that nobody hears", lambda s: settled(requested(s))),
    ("requests_answered", "an outcome after the deadline", lambda s: announced(settled(requested(s), 140))),
    ("requests_answered", "silence that nobody hears", lambda s: announced(settled(overdue(requested(s)), 110), "x")),
]
