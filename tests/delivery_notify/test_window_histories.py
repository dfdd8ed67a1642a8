"""Chosen collection windows: each has an outcome that the customer hears in time, whatever the courier does."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.events import issues as ev
from libs.common.events.notices import NoticeKind
from libs.common.events.values import LineQuantity, TimeWindow
from services.delivery_notify.domain.decide import deadlines
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from tests.delivery_notify.conversation_driver import MONDAY, ConversationDriver, drive, issue, of, placed, reasons
from tests.examples import examples

HEARD = {
    NoticeKind.COLLECTION_BOOKED,
    NoticeKind.COLLECTION_ATTEMPTED,
    NoticeKind.COLLECTION_REMINDED,
    NoticeKind.COLLECTION_WINDOW_DECLINED,
    NoticeKind.ITEM_RECEIVED,
    NoticeKind.ISSUE_RESOLVED,
    NoticeKind.ISSUE_CANCELLED,
}
OPEN_DAYS_TO_AN_OUTCOME = 3
FIRST = date(2027, 3, 4)
HOURS = ((9, 12), (14, 16))


def window(days: int, hours: int = 0) -> TimeWindow:
    begin, end = HOURS[hours]
    return TimeWindow(day=FIRST + timedelta(days=days), from_hour=begin, to_hour=end)


WINDOWS = st.builds(window, st.integers(0, 5), st.integers(0, 1))
ANSWERS = st.one_of(
    st.tuples(st.just("booked"), WINDOWS),
    st.tuples(st.just("declined"), st.sampled_from(ev.WindowDeclinedBy), st.none() | st.integers(1, 9)),
    st.tuples(st.just("attempted"), st.none() | st.integers(1, 9)),
    st.sampled_from(["requested", "reminded", "collected", "received", "review", "resolved", "cancelled", "reopened"]),
    st.integers(1, 24 * 5).map(lambda hours: timedelta(hours=hours)),
    st.tuples(st.just("chosen"), WINDOWS),
)


def chosen(wish: TimeWindow) -> ConversationDriver:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueCollectionRequested, requested_at=MONDAY))
    driver.handle(issue(ev.IssueCollectionWindowChosen, window=wish, chosen_at=driver.now))
    return driver


def act(driver: ConversationDriver, action: object, attempt: int) -> None:
    now = driver.now
    match action:
        case timedelta():
            driver.advance_to(now + action)
        case ("chosen", TimeWindow() as wish):
            driver.handle(issue(ev.IssueCollectionWindowChosen, window=wish, chosen_at=now))
        case ("booked", TimeWindow() as wish):
            driver.handle(issue(ev.IssueCollectionBooked, window=wish, attempt=attempt))
        case ("declined", ev.WindowDeclinedBy() as cause, days):
            next_date = (
                None if not isinstance(days, int) or cause is ev.WindowDeclinedBy.NOT_NEEDED else window(days).day
            )
            answer = {"day": FIRST, "cause": cause, "next_date": next_date, "declined_at": now}
            driver.handle(issue(ev.IssueCollectionWindowDeclined, **{**answer, "window": None}))
        case ("attempted", days):
            day = window(days).day if isinstance(days, int) else None
            driver.handle(
                issue(ev.IssueCollectionAttempted, attempt=attempt, attempted_at=now, next_date=day, cause="nobody")
            )
        case "requested":
            driver.handle(issue(ev.IssueCollectionRequested, attempt=attempt, requested_at=now))
        case "reminded":
            driver.handle(
                issue(
                    ev.IssueCollectionReminded,
                    reminder=attempt,
                    next_date=window(5).day,
                    due_on=window(9).day,
                    reminded_at=now,
                )
            )
        case "collected":
            driver.handle(issue(ev.IssueCollected, collected_at=now, lines=None))
        case "received":
            one = (LineQuantity(line_id="1", quantity=1),)
            driver.handle(issue(ev.IssueItemReceived, lines=one, received_at=now, replacement_id=None))
        case "review":
            driver.handle(issue(ev.IssueReviewRequested, due_at=now + timedelta(days=1), cause="collection_failed"))
        case "resolved":
            driver.handle(issue(ev.IssueResolved, resolved_at=now))
        case "cancelled":
            driver.handle(issue(ev.IssueCancelled, cancelled_at=now))
        case _:
            driver.handle(issue(ev.IssueReopened, reopened_at=now))


def live(wish: TimeWindow, actions: list[object]) -> ConversationDriver:
    driver = chosen(wish)
    for number, action in enumerate(actions, 2):
        act(driver, action, number)
        assert driver.timers == deadlines(driver.conversation)
    return driver


@settings(max_examples=examples(200), deadline=None)
@given(WINDOWS, st.lists(ANSWERS, max_size=8))
def test_every_chosen_window_has_an_outcome_that_the_customer_hears_in_time(
    wish: TimeWindow, actions: list[object]
) -> None:
    driver, asked_at = chosen(wish), MONDAY
    handed_over = any(action == "collected" for action in actions)
    for number, action in enumerate(actions, 2):
        act(driver, action, number)
    calendar = driver.rules.calendar
    end = driver.rules.end_of(calendar.add_open_days(calendar.day(asked_at), OPEN_DAYS_TO_AN_OUTCOME))
    driver.advance_to(max(driver.now, end))
    heard = [notice.kind for notice in driver.notices if asked_at <= notice.made_at <= end]
    updates = heard.count(NoticeKind.COLLECTION_WINDOW_PENDING)
    assert HEARD & set(heard) or updates >= 2 or handed_over


@settings(max_examples=examples(200), deadline=None)
@given(WINDOWS, st.lists(ANSWERS, max_size=8))
def test_an_open_choice_always_has_a_deadline_and_a_closed_issue_has_none(
    wish: TimeWindow, actions: list[object]
) -> None:
    driver = live(wish, actions)
    for thread in driver.conversation.threads:
        is_open = thread.window_request is not None and not thread.closed_by
        assert (f"window:{thread.issue_id}" in driver.timers) == is_open


@settings(max_examples=examples(200), deadline=None)
@given(WINDOWS, st.lists(ANSWERS, max_size=8))
def test_no_notice_is_created_twice(wish: TimeWindow, actions: list[object]) -> None:
    ids = [notice.notice_id for notice in live(wish, actions).notices]
    assert len(ids) == len(set(ids))


def test_a_courier_that_never_answers_is_brought_to_staff_each_time_the_customer_is_updated() -> None:
    driver = chosen(window(1))
    driver.advance_to(MONDAY + timedelta(days=4))
    staff = [each for each in of(driver.facts, StaffNoticeCreated) if each.kind is StaffKind.WINDOW_UNANSWERED]
    assert len(staff) == driver.kinds.count(NoticeKind.COLLECTION_WINDOW_PENDING) >= 2


def test_the_update_names_the_day_of_the_next_one_and_it_comes_then() -> None:
    driver = chosen(window(5))
    driver.advance_to(MONDAY + timedelta(days=5))
    first, second = [each for each in driver.notices if each.kind is NoticeKind.COLLECTION_WINDOW_PENDING][:2]
    assert driver.rules.calendar.day(second.made_at) == first.facts.next_update_by


def test_the_window_that_is_booked_already_is_confirmed_at_once() -> None:
    driver = chosen(window(1))
    act(driver, ("booked", window(1)), 2)
    driver.advance_to(driver.now + timedelta(hours=1))
    act(driver, ("chosen", window(1)), 2)
    assert driver.kinds.count(NoticeKind.COLLECTION_BOOKED) == 2


def test_another_window_than_the_chosen_one_is_announced_with_regret() -> None:
    driver = chosen(window(1))
    act(driver, ("booked", window(2)), 2)
    assert driver.notices[-1].facts.plan == "other_window"


def test_a_visit_that_is_not_needed_ends_the_choice_and_names_the_day_on_which_nobody_comes() -> None:
    driver = chosen(window(0))
    act(driver, ("declined", ev.WindowDeclinedBy.NOT_NEEDED, None), 2)
    assert (driver.notices[-1].facts.plan, driver.notices[-1].facts.day) == ("none", FIRST)
    assert not [name for name in driver.timers if name.startswith("window:")]


def test_the_answer_to_a_choice_on_a_closed_issue_is_heard() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueCancelled))
    choice = issue(ev.IssueCollectionWindowChosen, window=window(0), chosen_at=driver.now)
    assert reasons(driver.handle(choice)) == ["issue_closed"]
    act(driver, ("declined", ev.WindowDeclinedBy.NOT_NEEDED, None), 2)
    assert driver.kinds[-1] is NoticeKind.COLLECTION_WINDOW_DECLINED
