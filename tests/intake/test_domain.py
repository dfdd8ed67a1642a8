"""Decisions on reports in tables of single cases; random histories are in test_histories."""

from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Ignored, SetTimer
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueAccepted, IssueRejected, IssueReported
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Reason, ReportedLine
from services.intake.domain.context import CommandRefused, OrderState, Refusal
from services.intake.domain.decide import decide
from services.intake.domain.issue_acceptance import IssueRecorded
from services.intake.domain.submissions import timer_name
from services.intake.domain.units import Unit
from tests.intake.event_builders import (
    NOON,
    RULES,
    after,
    by_http,
    by_kafka,
    cancelled,
    days,
    delivered,
    event,
    http_id,
    line,
    placed,
    shipped,
    submission,
    timer_of,
)

F = TypeVar("F")


def of(kind: type[F], facts: Sequence[Fact]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]


def refusal(history: Sequence[AnyEvent], report: IssueSubmitted) -> Refusal:
    """Return the refusal of a report over HTTP after this history."""
    _, facts = after([*history, by_http(report)])
    return of(CommandRefused, facts)[0].refusal


ARRIVED = [placed(), shipped(), delivered()]


def test_a_report_about_a_delivered_piece_is_accepted() -> None:
    _, facts = after([*ARRIVED, by_http(submission())])
    assert [type(fact) for fact in facts] == [IssueRecorded, IssueReported, IssueAccepted]


def test_an_accepted_report_carries_the_data_of_its_order() -> None:
    _, facts = after([placed(market="DE"), delivered(), by_http(submission())])
    accepted = of(IssueAccepted, facts)[0]
    copied = (accepted.market, accepted.lines[0].sku, str(accepted.lines[0].unit_price.amount), accepted.lines[0].name)
    assert copied == ("DE", "SKU-1", "4980", "Tetsubin")


def test_an_accepted_report_takes_one_unit_per_piece() -> None:
    context, _ = after([*ARRIVED, by_http(submission(2), key="k")])
    assert context.entitlements == {Unit("1", 1): http_id("k"), Unit("1", 2): http_id("k")}


def test_the_delivery_day_is_the_shops_day() -> None:
    late_evening_utc = NOON.replace(hour=20)  # five in the morning of the 11th in Tokyo
    _, facts = after([placed(), delivered(at=late_evening_utc), by_http(submission(), at=NOON + days(1))])
    assert str(of(IssueAccepted, facts)[0].delivered_on) == "2026-03-11"


@pytest.mark.parametrize(
    ("code", "field", "history", "report"),
    [
        ("unknown_order", "order_id", [delivered()], submission()),
        ("foreign_customer", "customer_id", ARRIVED, submission(customer_id="C-other")),
        ("unknown_line", "lines.0.line_id", ARRIVED, submission(line_id="9")),
        ("too_many_units", "lines.0.quantity", ARRIVED, submission(3)),
        ("not_delivered", "lines.0.quantity", [placed(), shipped()], submission()),
        ("not_delivered", "lines.0.quantity", [placed(), delivered(quantity=1)], submission(2)),
        ("not_delivered", "lines.0.quantity", [placed()], submission(reason=Reason.LOST_IN_TRANSIT)),
        (
            "line_cancelled",
            "lines.0.line_id",
            [placed(), shipped(), cancelled()],
            submission(reason=Reason.LOST_IN_TRANSIT),
        ),
        ("line_cancelled", "lines.0.line_id", [placed(), cancelled("1")], submission()),
        ("already_reported", "lines.0.quantity", [*ARRIVED, by_http(submission(2))], submission()),
        ("window_closed", "lines.0.quantity", [placed(), delivered(at=NOON - days(731))], submission()),
        (
            "already_reported",
            "reference",
            [*ARRIVED, by_http(submission(reference="R-1"))],
            submission(reference="R-1"),
        ),
        ("noticed_in_future", "noticed_on", ARRIVED, submission(noticed_on=NOON.date() + days(1))),
        ("unknown_photo", "photos.0", ARRIVED, submission(photos=("a" * 64,))),
        (
            "repeated_line",
            "lines.1.line_id",
            ARRIVED,
            submission(lines=(ReportedLine(line_id="1", quantity=1), ReportedLine(line_id="1", quantity=1))),
        ),
    ],
)
def test_a_report_that_does_not_stand_is_refused(
    code: str, field: str, history: list[AnyEvent], report: IssueSubmitted
) -> None:
    found = refusal(history, report)
    assert (found.code, found.field) == (code, field)


def test_a_refusal_names_the_issue_that_holds_the_pieces() -> None:
    assert refusal([*ARRIVED, by_http(submission(2), key="first")], submission()).issue_id == http_id("first")


def complete(reason: Reason) -> dict[str, Any]:
    """Return the details that make a report of this reason acceptable at once."""
    named = (ReportedLine(line_id="1", quantity=1, part="lid"),)
    return {"lines": named} if reason is Reason.MISSING_PART else {}


@pytest.mark.parametrize("reason", list(Reason))
def test_the_last_day_of_a_window_counts_in_full(reason: Reason) -> None:
    last = NOON + days(RULES.windows[reason].days)
    _, facts = after([*ARRIVED, by_http(submission(reason=reason, **complete(reason)), at=last)])
    assert of(IssueAccepted, facts)


@pytest.mark.parametrize("reason", list(Reason))
def test_the_day_after_a_window_is_too_late(reason: Reason) -> None:
    late = NOON + days(RULES.windows[reason].days + 1)
    _, facts = after([*ARRIVED, by_http(submission(reason=reason), at=late)])
    assert of(CommandRefused, facts)[0].refusal.code == "window_closed"


def test_each_piece_has_the_window_of_its_own_delivery() -> None:
    history = [placed(), delivered(quantity=1, at=NOON - days(20)), delivered(quantity=1)]
    context, _ = after([*history, by_http(submission(reason=Reason.CHANGED_MIND))])
    assert list(context.entitlements) == [Unit("1", 2)]


@pytest.mark.parametrize("reason", [Reason.LOST_IN_TRANSIT, Reason.MISSING_ITEM])
def test_a_piece_that_never_arrived_may_be_reported_missing(reason: Reason) -> None:
    _, facts = after([placed(), shipped(), by_http(submission(2, reason=reason))])
    assert of(IssueAccepted, facts)[0].delivered_on is None


LOST = submission(2, reason=Reason.LOST_IN_TRANSIT)


@pytest.mark.parametrize("quantity", [0, 1, 2])
def test_an_acceptance_states_the_units_of_its_lines_that_were_delivered_before(quantity: int) -> None:
    arrived = [delivered(quantity=1, at=NOON - days(number)) for number in range(quantity)]
    _, facts = after([placed(), shipped(), *arrived, by_http(LOST)])
    assert units_before(facts) == quantity


def test_a_delivery_that_was_known_at_the_report_came_before_it_though_the_clock_of_the_shop_is_ahead() -> None:
    _, facts = after([placed(), shipped(), delivered(quantity=1, at=NOON + days(1)), by_http(LOST)])
    assert units_before(facts) == 1


def test_a_report_that_was_queued_came_before_a_delivery_that_the_shop_sent_after_it() -> None:
    history = [placed(), shipped(), delivered(quantity=1, at=NOON + days(1)), event(LOST, at=NOON)]
    _, facts = after(history)
    assert units_before(facts) == 0


def units_before(facts: Sequence[Fact]) -> int:
    stated = of(IssueAccepted, facts)[0].delivered_before
    assert stated is not None
    return sum(line.quantity for line in stated)


def test_what_never_arrived_is_reported_lost_before_what_arrived() -> None:
    context, _ = after([placed(), shipped(), delivered(quantity=1), by_http(submission(reason=Reason.LOST_IN_TRANSIT))])
    assert list(context.entitlements) == [Unit("1", 2)]


def test_pieces_that_arrived_before_a_cancellation_may_be_reported() -> None:
    _, facts = after([placed(), delivered(quantity=1), cancelled(), by_http(submission())])
    assert of(IssueAccepted, facts)


def test_a_delivery_that_arrives_before_its_order_counts() -> None:
    _, facts = after([delivered(), shipped(), placed(), by_http(submission())])
    assert of(IssueAccepted, facts)


def test_an_order_placed_again_with_the_same_content_is_a_repetition() -> None:
    _, facts = after([placed(), placed()])
    assert facts == [Ignored("duplicate_order")]


def test_an_order_placed_again_with_other_content_is_a_correction() -> None:
    context, _ = after([placed(), placed(line("1", 9), line("3", 1))])
    assert context.order.purchase is not None
    assert {each.line_id: each.quantity for each in context.order.purchase.lines} == {"1": 9, "2": 1, "3": 1}


def test_more_pieces_than_ordered_are_reported_to_ops() -> None:
    _, facts = after([placed(), delivered(quantity=3)])
    assert of(Anomaly, facts)[0].reason == "more_delivered_than_ordered"


def test_a_refusal_over_http_changes_nothing() -> None:
    context, _ = after(ARRIVED)
    assert decide(context, by_http(submission(3)), NOON, RULES)[0] is context


def test_a_report_about_an_unknown_order_makes_no_order() -> None:
    assert decide(None, by_http(submission()), NOON, RULES)[0] is None


def test_a_report_by_kafka_that_does_not_stand_is_rejected_with_its_remedy() -> None:
    _, facts = after([*ARRIVED, by_kafka(submission(3, reference="R-5"))])
    rejected = of(IssueRejected, facts)[0]
    assert (rejected.code, rejected.reference, "report at most that many" in rejected.message) == (
        "too_many_units",
        "R-5",
        True,
    )


def test_a_rejected_report_takes_no_units() -> None:
    context, _ = after([*ARRIVED, by_kafka(submission(3))])
    assert not context.entitlements


def test_the_id_of_an_issue_follows_from_the_event() -> None:
    _, facts = after([*ARRIVED, by_kafka(submission(), id="e-42")])
    assert of(IssueAccepted, facts)[0].issue_id == derived_id("issue", "/storefront", "e-42")


def test_the_storefront_may_give_the_id_itself() -> None:
    given = derived_id("issue", "of the storefront")
    _, facts = after([*ARRIVED, by_kafka(submission(issue_id=given))])
    assert of(IssueAccepted, facts)[0].issue_id == given


def test_the_same_id_again_is_the_same_report() -> None:
    given = derived_id("issue", "of the storefront")
    _, facts = after([*ARRIVED, by_kafka(submission(issue_id=given)), by_kafka(submission(issue_id=given))])
    assert facts[-1] == Ignored("duplicate_report")


def test_an_id_that_another_order_has_is_reported_to_ops() -> None:
    given = derived_id("issue", "of the storefront")
    context, _ = after(ARRIVED)
    other = OrderState(context.order, order_by_issue={given: "O-other"})
    _, facts = after([by_kafka(submission(issue_id=given))], context=other)
    assert of(Anomaly, facts)[0].reason == "issue_id_of_another_order"


@pytest.mark.parametrize("known", [[], [placed()], [delivered()]])
def test_a_report_by_kafka_waits_for_news_of_its_order(known: list[AnyEvent]) -> None:
    _, facts = after([*known, by_kafka(submission(issue_id=http_id("w")))])
    assert facts == [SetTimer(timer_name(http_id("w")), NOON + RULES.order_wait)]


def test_a_waiting_report_is_accepted_once_the_news_are_there() -> None:
    _, facts = after([by_kafka(submission()), placed(), delivered()])
    assert [type(fact) for fact in facts] == [SetTimer, CancelTimer, IssueRecorded, IssueReported, IssueAccepted]


def test_a_waiting_report_counts_from_when_it_was_sent() -> None:
    _, facts = after([by_kafka(submission()), placed(at=NOON + days(1)), delivered(at=NOON + days(1))])
    assert of(IssueAccepted, facts)[0].reported_at == NOON


def test_a_report_that_lay_on_the_topic_counts_from_when_it_was_sent() -> None:
    sent = by_kafka(submission(reason=Reason.CHANGED_MIND), at=NOON + days(14))
    _, facts = after([*ARRIVED, sent], now=NOON + days(16))
    assert of(IssueAccepted, facts)[0].reported_at == NOON + days(14)


def test_a_clock_that_runs_ahead_of_ours_does_not_count() -> None:
    _, facts = after([*ARRIVED, by_kafka(submission(), at=NOON + days(5))], now=NOON + days(1))
    assert of(IssueAccepted, facts)[0].reported_at == NOON + days(1)


def test_a_report_waits_no_longer_than_it_should() -> None:
    context, facts = after([by_kafka(submission(issue_id=http_id("w"))), timer_of(timer_name(http_id("w")))])
    assert (of(IssueRejected, facts)[0].code, context.order.awaiting_order) == ("unknown_order", ())


def test_a_report_rejected_after_waiting_has_the_reason_of_that_moment() -> None:
    waiting = by_kafka(submission(issue_id=http_id("w")))
    _, facts = after([waiting, placed(), timer_of(timer_name(http_id("w")))])
    assert of(IssueRejected, facts)[0].code == "not_delivered"


def test_a_timer_of_a_report_that_no_longer_waits_is_ignored() -> None:
    _, facts = after([placed(), timer_of(timer_name(http_id("gone")))])
    assert facts == [Ignored("timer_obsolete")]


def test_two_waiting_reports_for_the_last_piece_are_decided_in_their_order() -> None:
    first, second = (by_kafka(submission(2, issue_id=http_id(key))) for key in ("a", "b"))
    _, facts = after([first, second, placed(), delivered()])
    decided = [(type(fact), fact.issue_id) for fact in facts if isinstance(fact, IssueAccepted | IssueRejected)]
    assert decided == [(IssueAccepted, http_id("a")), (IssueRejected, http_id("b"))]
