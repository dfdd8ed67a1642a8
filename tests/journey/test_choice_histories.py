"""Choices about replacements: each has an outcome that the customer hears in time, whatever the warehouse does.

Random histories through returns and delivery_notify: the warehouse answers each replacement order with dates, refusals
and shipments, or never; the customer chooses, or the default does.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.events.envelope import Payload
from libs.common.events.notices import ChangeSubject, CustomerDecided, NoticeKind
from libs.common.events.values import Choice, Reason, Variant
from libs.common.events.warehouse import ReplacementOrdered, ReplacementRejected
from services.delivery_notify.domain.conversation import Question
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from tests.delivery_notify.conversation_driver import ORDER, of
from tests.examples import examples
from tests.journey.test_first_dates import STEPS, Step, payload_of
from tests.journey.two_services import TwoServices
from tests.returns.cases import CALENDAR, TUESDAY

OUTCOMES = {
    NoticeKind.ISSUE_ACCEPTED,
    NoticeKind.REPLACEMENT_PROMISED,
    NoticeKind.REPLACEMENT_DELAYED,
    NoticeKind.REPLACEMENT_SHIPPED,
    NoticeKind.CHOICE_REQUESTED,
    NoticeKind.REFUND_REQUESTED,
    NoticeKind.REVIEW_STARTED,
    NoticeKind.ISSUE_CANCELLED,
}
OPEN_DAYS_TO_AN_OUTCOME = 3
SIX_WEEKS = timedelta(weeks=6)
HALF_A_DAY = timedelta(hours=12)
BLUE = Variant(sku="SKU-1-BLUE", name="Teapot, blue")

REFUSALS = st.sampled_from([("reject", 0, 5), ("reject", 60, 30), ("reject, no date", 0, 0), ("reject, variant", 0, 0)])
WAREHOUSES = st.builds(
    lambda refusal, first, later: [[refusal, *first], *later], REFUSALS, STEPS, st.lists(STEPS, max_size=3)
)
"""Steps of the warehouse with each order of the replacement; it refuses the first one."""
CUSTOMERS = st.lists(st.tuples(st.sampled_from(Choice), st.integers(0, 8)), max_size=3)
"""The choice of each question and the half days before it; one that is not offered is not made."""


def warehouse_answer(order: ReplacementOrdered, step: Step, now: datetime) -> tuple[datetime, Payload]:
    kind, minutes, days = step
    at = now + timedelta(minutes=minutes)
    if kind != "reject, variant":
        return at, payload_of(order, kind, at, days)
    ids = {"issue_id": order.issue_id, "replacement_id": order.replacement_id}
    return at, ReplacementRejected(**ids, variants=(BLUE,))


def choice_of(question: Question, choice: Choice) -> CustomerAnswered:
    sku = BLUE.sku if choice is Choice.CHANGE else None
    return CustomerAnswered(
        order_id=ORDER, choice_id=question.choice_id, choice=choice, change=ChangeSubject.ITEM, requested_sku=sku
    )


def live(warehouse: Sequence[Sequence[Step]], customer: Sequence[tuple[Choice, int]]) -> TwoServices:
    orders, choices = iter(warehouse), iter(customer)
    story = TwoServices(lambda order: [warehouse_answer(order, step, story.now) for step in next(orders, [])])
    story.report(Reason.DEFECTIVE)
    made: dict[object, tuple[Choice, datetime] | None] = {}
    while story.now < TUESDAY + SIX_WEEKS:
        story.run_until(until := story.now + HALF_A_DAY)
        story.now = until
        for question in [each for each in story.talk.conversation.questions if each.open]:
            if question.choice_id not in made:
                choice, half_days = next(choices, (None, 0))
                made[question.choice_id] = (choice, story.now + half_days * HALF_A_DAY) if choice else None
            if (wanted := made[question.choice_id]) and wanted[1] <= story.now and wanted[0] in question.options:
                story.choose(choice_of(question, wanted[0]))
    return story


@settings(max_examples=examples(100), deadline=None)
@given(WAREHOUSES, CUSTOMERS)
def test_every_choice_has_an_outcome_that_the_customer_hears_in_time(
    warehouse: list[list[Step]], customer: list[tuple[Choice, int]]
) -> None:
    story = live(warehouse, customer)
    decisions = of(story.talk.facts, CustomerDecided)
    for decided in decisions:
        day = CALENDAR.add_open_days(CALENDAR.day(decided.decided_at), OPEN_DAYS_TO_AN_OUTCOME)
        end = story.talk.rules.end_of(day)
        if end < story.now:
            heard = {each.kind for each in story.notices if decided.decided_at <= each.made_at <= end}
            assert OUTCOMES & heard, (decided.choice, decided.decided_at, heard)


@settings(max_examples=examples(100), deadline=None)
@given(WAREHOUSES, CUSTOMERS)
def test_no_question_stays_open_beyond_its_deadline(
    warehouse: list[list[Step]], customer: list[tuple[Choice, int]]
) -> None:
    story = live(warehouse, customer)
    assert [each for each in story.talk.conversation.questions if each.open and each.due_at <= story.now] == []
