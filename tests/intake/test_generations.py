"""Reports about a replacement that has arrived: it is a piece of its own and may be reported once."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from libs.common.decisions.facts import Fact
from libs.common.events.issues import IssueAccepted
from libs.common.events.registry import AnyEvent
from libs.common.events.values import Reason, Remedy, StaffAction
from services.intake.domain.context import CommandRefused, OrderState
from services.intake.domain.decide import decide
from services.intake.domain.issue_acceptance import IssueRecorded
from services.intake.domain.orders import Report, StoredReport
from services.intake.domain.units import Unit
from tests.intake.event_builders import (
    NOON,
    RULES,
    after,
    by_http,
    days,
    delivered,
    event,
    http_id,
    placed,
    shipped,
    submission,
)
from tests.intake.test_staff_decisions import decision, refusals

FIRST, SECOND = http_id("k"), http_id("second")
ARRIVED_ON = date(2026, 3, 20)


def replaced(*units: Unit, history: list[AnyEvent] | None = None) -> OrderState:
    """Return the context after the first piece was reported and its replacement arrived on 20 March."""
    context, _ = after([*(history or [placed(), delivered(quantity=1)]), by_http(submission(), key="k")])
    return OrderState(
        context.order,
        context.entitlements,
        context.order_by_issue,
        replaced_on=dict.fromkeys(units or (Unit("1", 1),), ARRIVED_ON),
    )


def report(context: OrderState, *, days_later: int = 12, reason: Reason = Reason.DEFECTIVE) -> list[Fact]:
    again = by_http(submission(reason=reason), key="second", at=NOON + days(days_later))
    return list(decide(context, again, again.time, RULES)[1])


def units_of(facts: list[Fact]) -> list[Unit]:
    return [unit for fact in facts if isinstance(fact, IssueRecorded) for unit in fact.units]


def test_until_it_has_arrived_a_second_report_leads_to_the_first() -> None:
    context, _ = after([placed(), delivered(quantity=1), by_http(submission(), key="k")])
    found = [fact.refusal for fact in report(context) if isinstance(fact, CommandRefused)]
    assert [(refusal.code, refusal.issue_id) for refusal in found] == [("already_reported", FIRST)]


def test_a_replacement_that_is_broken_too_is_taken_and_counts_from_its_own_arrival() -> None:
    facts = report(replaced())
    assert units_of(facts) == [Unit("1", 1, 1)]
    assert [fact.delivered_on for fact in facts if isinstance(fact, IssueAccepted)] == [ARRIVED_ON]


def test_it_is_taken_once() -> None:
    context = replaced()
    taken = OrderState(
        context.order,
        {**context.entitlements, Unit("1", 1, 1): SECOND},
        context.order_by_issue,
        replaced_on=context.replaced_on,
    )
    again = by_http(submission(), at=NOON + days(13))
    found = [fact.refusal for fact in decide(taken, again, again.time, RULES)[1] if isinstance(fact, CommandRefused)]
    assert [(refusal.code, refusal.issue_id) for refusal in found] == [("already_reported", SECOND)]


def test_its_window_for_defects_is_its_own() -> None:
    context = replaced()
    assert units_of(report(context, days_later=730 + 10)) == [Unit("1", 1, 1)]
    assert refusals(report(context, days_later=730 + 11)) == ["window_closed"]


def test_a_replacement_gives_no_new_time_to_change_ones_mind() -> None:
    context = replaced()
    assert units_of(report(context, days_later=14, reason=Reason.CHANGED_MIND)) == [Unit("1", 1, 1)]
    assert refusals(report(context, days_later=15, reason=Reason.CHANGED_MIND)) == ["window_closed"]


def test_after_a_lost_piece_the_time_to_change_ones_mind_begins_with_what_was_sent_for_it() -> None:
    lost = by_http(submission(reason=Reason.LOST_IN_TRANSIT), key="k")
    context, _ = after([placed(), shipped(quantity=1), lost])
    arrived = OrderState(
        context.order, context.entitlements, context.order_by_issue, replaced_on={Unit("1", 1): ARRIVED_ON}
    )
    assert units_of(report(arrived, days_later=10 + 14, reason=Reason.CHANGED_MIND)) == [Unit("1", 1, 1)]
    assert refusals(report(arrived, days_later=10 + 15, reason=Reason.CHANGED_MIND)) == ["window_closed"]


def test_what_was_sent_for_a_lost_piece_may_break_although_the_lost_one_never_came() -> None:
    lost = by_http(submission(reason=Reason.LOST_IN_TRANSIT), key="k")
    context, _ = after([placed(), shipped(quantity=1), lost])
    assert refusals(report(context)) == ["not_delivered"]
    assert units_of(
        report(
            OrderState(
                context.order, context.entitlements, context.order_by_issue, replaced_on={Unit("1", 1): ARRIVED_ON}
            )
        )
    ) == [Unit("1", 1, 1)]


def test_a_customer_never_has_more_pieces_to_report_than_they_bought() -> None:
    context = replaced(history=[placed(), delivered(quantity=2)])
    facts = decide(context, by_http(submission(3), at=NOON + days(12)), NOON + days(12), RULES)[1]
    assert refusals(facts) == ["too_many_units"]
    facts = decide(context, by_http(submission(2), at=NOON + days(12)), NOON + days(12), RULES)[1]
    assert units_of(list(facts)) == [Unit("1", 1, 1), Unit("1", 2)]


def test_a_replacement_of_a_replacement_is_the_next_piece() -> None:
    context = replaced(Unit("1", 1), Unit("1", 1, 1))
    assert units_of(report(context)) == [Unit("1", 1, 2)]


def staff(context: OrderState, action: StaffAction) -> list[Fact]:
    filed = {FIRST: StoredReport(Report(FIRST, submission(), NOON), None, 0)}
    loaded = OrderState(
        context.order,
        context.entitlements,
        context.order_by_issue,
        stored_reports=filed,
        replaced_on=context.replaced_on,
    )
    asked = event(decision(action, remedy=Remedy.REPLACEMENT))
    return list(decide(loaded, asked, NOON + timedelta(days=13), RULES)[1])


@pytest.mark.parametrize("action", [StaffAction.REOPEN, StaffAction.CHOOSE_REMEDY])
def test_nothing_is_sent_again_for_a_report_whose_replacement_was_reported_itself(action: StaffAction) -> None:
    context = replaced()
    both: dict[Unit, UUID] = {**context.entitlements, Unit("1", 1, 1): SECOND}
    reported = OrderState(context.order, both, context.order_by_issue, replaced_on=context.replaced_on)
    found = [fact.refusal for fact in staff(reported, action) if isinstance(fact, CommandRefused)]
    assert [(refusal.code, refusal.issue_id) for refusal in found] == [("already_reported", SECOND)]
    assert refusals(staff(context, action)) == []
