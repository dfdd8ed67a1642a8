"""Dates of a replacement that are true when given, whatever the warehouse does: two services together."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.events.envelope import Payload
from libs.common.events.notices import CustomerDecided, NoticeKind, PromiseSubject
from libs.common.events.values import Choice, Reason
from libs.common.events.warehouse import (
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementOrdered,
    ReplacementRejected,
    ReplacementShipped,
)
from services.delivery_notify.domain.notices import NoticeCreated
from tests.examples import examples
from tests.journey.two_services import TwoServices
from tests.returns.cases import CALENDAR, TUESDAY, line

FOUR_WEEKS = timedelta(days=28)
Step = tuple[str, int, int]
"""Action of the warehouse, minutes after the order, and days from then to the date that it names."""

STEPS = st.lists(
    st.tuples(
        st.sampled_from(("confirm", "delay", "reject", "reject, no date", "ship")),
        st.one_of(st.integers(0, 30), st.integers(31, 9000)),
        st.integers(0, 15),
    ),
    max_size=4,
)


def silent(order: ReplacementOrdered) -> list[tuple[datetime, Payload]]:
    return []


def answers(steps: Sequence[Step]) -> TwoServices:
    """Return a story in which the warehouse takes these steps with its first order, and ships later ones at once."""

    def answer(order: ReplacementOrdered) -> list[tuple[datetime, Payload]]:
        if len(story.ordered) > 1:
            steps_now: Sequence[Step] = (("confirm", 0, 1), ("ship", 600, 0))
        else:
            steps_now = steps
        return [(at, payload_of(order, kind, at, days)) for kind, minutes, days in steps_now for at in [_at(minutes)]]

    def _at(minutes: int) -> datetime:
        return story.now + timedelta(minutes=minutes)

    story = TwoServices(answer)
    return story


def payload_of(order: ReplacementOrdered, kind: str, at: datetime, days: int) -> Payload:
    ids = {"issue_id": order.issue_id, "replacement_id": order.replacement_id}
    day = CALENDAR.day(at) + timedelta(days=days)
    match kind:
        case "confirm":
            return ReplacementConfirmed(**ids, ship_date=day)
        case "delay":
            return ReplacementDelayed(**ids, ship_date=day)
        case "ship":
            return ReplacementShipped(**ids, shipped_at=at)
        case "reject":
            return ReplacementRejected(**ids, restock_date=day)
        case _:
            return ReplacementRejected(**ids)


def announced(notice: NoticeCreated, subject: PromiseSubject) -> list[date]:
    return [each.day for each in notice.promises.announces if each.subject is subject]


def test_a_warehouse_silent_for_four_weeks_costs_the_customer_six_mails_and_ends_in_money() -> None:
    story = TwoServices(silent)
    story.report(Reason.MISSING_ITEM)
    story.run_until(TUESDAY + FOUR_WEEKS)
    assert [(each.kind, each.facts.plan, str(each.facts.day)) for each in story.notices] == [
        (NoticeKind.ISSUE_ACCEPTED, "date", "2026-03-11"),
        (NoticeKind.REVIEW_STARTED, "date", "2026-03-13"),
        (NoticeKind.CHOICE_REQUESTED, "restock", "2026-03-23"),
        (NoticeKind.REPLACEMENT_PROMISED, None, "2026-03-23"),
        (NoticeKind.CHOICE_REQUESTED, "restock", "2026-03-30"),
        (NoticeKind.REFUND_REQUESTED, "refund", "2026-03-26"),
    ]
    answered = [each.choice for each in story.talk.facts if isinstance(each, CustomerDecided)]
    assert answered == [Choice.WAIT, Choice.REFUND]


def test_a_warehouse_that_confirms_and_then_is_silent_costs_the_customer_six_mails_as_well() -> None:
    story = answers([("confirm", 0, 1)])
    story.report(Reason.MISSING_ITEM)
    story.run_until(TUESDAY + FOUR_WEEKS)
    assert [each.kind for each in story.notices] == [
        NoticeKind.ISSUE_ACCEPTED,
        NoticeKind.REPLACEMENT_DELAYED,
        NoticeKind.CHOICE_REQUESTED,
        NoticeKind.REPLACEMENT_DELAYED,
        NoticeKind.CHOICE_REQUESTED,
        NoticeKind.REFUND_REQUESTED,
    ]


def test_an_answer_within_the_seconds_is_in_the_first_mail() -> None:
    story = answers([("confirm", 0, 3)])
    story.report(Reason.DEFECTIVE)
    story.run_until(TUESDAY + timedelta(hours=1))
    (first,) = story.notices
    assert (first.kind, first.facts.plan, first.facts.day) == (
        NoticeKind.ISSUE_ACCEPTED,
        "replacement",
        date(2026, 3, 13),
    )
    assert announced(first, PromiseSubject.REPLACEMENT) == [date(2026, 3, 13)]


def test_out_of_stock_within_the_seconds_is_asked_about_in_the_first_mail() -> None:
    story = answers([("reject", 0, 5)])
    story.report(Reason.DEFECTIVE)
    story.run_until(TUESDAY + timedelta(hours=1))
    assert [each.kind for each in story.notices] == [NoticeKind.CHOICE_REQUESTED]


def test_a_warehouse_that_never_states_a_date_and_ships_is_heard_of_twice() -> None:
    story = answers([("ship", 300, 0)])
    story.report(Reason.DEFECTIVE, line())
    story.run_until(TUESDAY + timedelta(hours=6))
    assert [(each.kind, each.facts.plan) for each in story.notices] == [
        (NoticeKind.ISSUE_ACCEPTED, "date"),
        (NoticeKind.REPLACEMENT_SHIPPED, None),
    ]


@settings(max_examples=examples(300))
@given(STEPS)
def test_no_date_is_given_before_the_warehouse_or_the_customer_named_it(steps: list[Step]) -> None:
    story = answers(steps)
    story.report(Reason.DEFECTIVE)
    story.run_until(TUESDAY + FOUR_WEEKS)
    first = next(iter(story.ordered))
    named = [TUESDAY + timedelta(minutes=minutes) for kind, minutes, _ in steps if kind in ("confirm", "delay")]
    chosen = [each.decided_at for each in story.talk.facts if isinstance(each, CustomerDecided)]
    earliest = min([*named, *chosen], default=datetime.max.replace(tzinfo=UTC))
    for notice in story.notices:
        for each in notice.promises.announces:
            if (each.subject, each.subject_id) == (PromiseSubject.REPLACEMENT, str(first)):
                assert notice.made_at >= earliest


@settings(max_examples=examples(300))
@given(STEPS)
def test_every_day_by_which_a_date_was_to_follow_brings_news(steps: list[Step]) -> None:
    story = answers(steps)
    story.report(Reason.DEFECTIVE)
    story.run_until(TUESDAY + FOUR_WEEKS)
    for place, notice in enumerate(story.notices):
        for day in announced(notice, PromiseSubject.REPLACEMENT_DATE):
            assert CALENDAR.is_open(day)
            ends = CALENDAR.moment(day + timedelta(days=1), 0)
            assert any(later.due_at < ends for later in story.notices[place + 1 :]), (steps, notice.facts)
