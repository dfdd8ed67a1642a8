"""Dates of a replacement: ordered, promised, delayed, shipped and delivered, in any order and repeated."""

from datetime import date, timedelta
from typing import Any

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Choice, Component, LineQuantity, PartQuantity
from services.delivery_notify.domain.issue_thread import IssueThread
from services.delivery_notify.domain.notices import NoticeCreated, PromiseMade
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    ISSUE,
    MONDAY,
    NEXT_FRIDAY,
    NEXT_WEDNESDAY,
    ORDER,
    REPLACEMENT,
    ConversationDriver,
    drive,
    issue,
    of,
    placed,
    reasons,
)

SECOND = derived_id("replacement", 2)
DAY = timedelta(days=1)
ORDERED, SHIPPED = issue(ev.IssueReplacementOrdered), issue(ev.IssueReplacementShipped)


def promised(day: date, version: int = 1, **more: Any) -> ev.IssueReplacementPromised:
    return issue(ev.IssueReplacementPromised, ship_date=day, version=version, promised_at=MONDAY, **more)


def delayed(day: date, version: int = 2, previous: date = FRIDAY, **more: Any) -> ev.IssueReplacementDelayed:
    known = {"previous_ship_date": previous, "delayed_at": MONDAY, **more}
    return issue(ev.IssueReplacementDelayed, ship_date=day, version=version, **known)


def part_shipped(**more: Any) -> ev.IssueReplacementPartShipped:
    unit = (LineQuantity(line_id="1", quantity=1),)
    known = {"lines": unit, "remaining_lines": unit, "remaining_ship_date": NEXT_FRIDAY}
    return issue(ev.IssueReplacementPartShipped, **{**known, **more})


def delivery_moved(day: date, **more: Any) -> ev.IssueReplacementDeliveryChanged:
    known = {"expected_delivery_date": day, "previous_date": NEXT_WEDNESDAY, "changed_at": MONDAY, "cause": "typhoon"}
    return issue(ev.IssueReplacementDeliveryChanged, **{**known, **more})


def ordered() -> ConversationDriver:
    return drive(placed(), issue(ev.IssueAccepted), ORDERED)


def thread_of(driver: ConversationDriver) -> IssueThread:
    thread = driver.conversation.thread(ISSUE)
    assert thread is not None
    return thread


def days_announced(driver: ConversationDriver, kind: NoticeKind) -> list[tuple[date | None, date | None]]:
    return [(notice.facts.day, notice.facts.previous_day) for notice in driver.notices if notice.kind is kind]


def last(driver: ConversationDriver) -> NoticeCreated:
    return driver.notices[-1]


def versions(driver: ConversationDriver) -> list[tuple[int, date]]:
    return [(row.version, row.day) for row in of(driver.facts, PromiseMade) if row.subject == "replacement"]


def test_a_replacement_ordered_twice_is_announced_once() -> None:
    assert reasons(ordered().handle(ORDERED)) == ["duplicate_replacement"]


def test_a_later_date_announces_what_it_breaks_and_what_it_promises() -> None:
    driver = ordered()
    driver.handle(delayed(NEXT_FRIDAY))
    news = last(driver).promises
    assert [(each.version, each.day) for each in news.announces] == [(2, NEXT_FRIDAY)]
    assert [(each.version, each.day) for each in news.supersedes] == [(0, FRIDAY)]


def test_an_earlier_date_is_a_promise_and_breaks_none() -> None:
    driver = ordered()
    driver.handle(promised(FRIDAY - DAY))
    assert (last(driver).kind, last(driver).promises.supersedes) == (NoticeKind.REPLACEMENT_PROMISED, ())


def test_the_date_of_a_replacement_that_is_not_known_yet_is_announced() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), promised(NEXT_FRIDAY, 3))
    assert days_announced(driver, NoticeKind.REPLACEMENT_PROMISED) == [(NEXT_FRIDAY, None)]
    assert versions(driver) == [(3, NEXT_FRIDAY)]


def test_a_delay_of_a_replacement_that_is_not_known_yet_names_the_date_of_the_event() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), delayed(NEXT_FRIDAY, 3, previous=NEXT_WEDNESDAY))
    assert days_announced(driver, NoticeKind.REPLACEMENT_DELAYED) == [(NEXT_FRIDAY, NEXT_WEDNESDAY)]
    (broken,) = last(driver).promises.supersedes
    assert (broken.version, broken.day) == (2, NEXT_WEDNESDAY)


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_not_newer_is_ignored(version: int) -> None:
    driver = ordered()
    driver.handle(delayed(NEXT_FRIDAY, 2))
    assert reasons(driver.handle(promised(NEXT_WEDNESDAY, version))) == ["older_promise"]


def test_a_confirmation_is_the_newest_version_without_a_notice_or_a_row() -> None:
    driver = ordered()
    assert reasons(driver.handle(promised(FRIDAY, 5))) == ["same_promise"]
    assert versions(driver) == [(0, FRIDAY)]
    assert reasons(driver.handle(promised(NEXT_FRIDAY, 4))) == ["older_promise"]


def test_a_date_after_the_shipment_is_ignored() -> None:
    driver = ordered()
    driver.handle(SHIPPED)
    assert reasons(driver.handle(delayed(NEXT_FRIDAY, 9))) == ["older_promise"]


def test_a_second_replacement_is_announced_and_the_first_one_is_over() -> None:
    driver = ordered()
    driver.handle(issue(ev.IssueReplacementOrdered, replacement_id=SECOND, promised_ship_date=NEXT_FRIDAY))
    assert days_announced(driver, NoticeKind.REPLACEMENT_PROMISED) == [(NEXT_FRIDAY, None)]
    assert thread_of(driver).past_replacements == (REPLACEMENT,)


LATE = [
    (promised(NEXT_WEDNESDAY, 7), "replacement_replaced"),
    (delayed(NEXT_WEDNESDAY, 7), "replacement_replaced"),
    (part_shipped(), "replacement_replaced"),
    (delivery_moved(NEXT_FRIDAY), "replacement_replaced"),
    (ORDERED, "duplicate_replacement"),
]


@pytest.mark.parametrize(("event", "reason"), LATE)
def test_news_of_a_replacement_that_was_replaced_are_ignored(event: ev.IssueEvent, reason: str) -> None:
    driver = ordered()
    driver.handle(issue(ev.IssueReplacementOrdered, replacement_id=SECOND, promised_ship_date=NEXT_FRIDAY))
    assert reasons(driver.handle(event)) == [reason]


def test_the_date_of_another_replacement_makes_it_the_present_one() -> None:
    driver = ordered()
    driver.handle(promised(NEXT_FRIDAY, 1, replacement_id=SECOND))
    present = thread_of(driver).replacement
    assert present is not None
    assert (present.replacement_id, thread_of(driver).past_replacements) == (SECOND, (REPLACEMENT,))


def test_another_replacement_closes_the_question_about_alternatives() -> None:
    driver = ordered()
    driver.handle(issue(ev.IssueChoiceRequested, options=(Choice.REFUND,), default=Choice.REFUND))
    driver.handle(promised(NEXT_FRIDAY, 1, replacement_id=SECOND))
    assert [question.closed_by for question in driver.conversation.questions] == ["promised"]


def test_a_newer_date_of_the_same_replacement_leaves_the_question_open() -> None:
    driver = ordered()
    driver.handle(issue(ev.IssueChoiceRequested, options=(Choice.REFUND,), default=Choice.REFUND))
    driver.handle(delayed(NEXT_FRIDAY))
    assert [question.open for question in driver.conversation.questions] == [True]


def test_a_shipment_closes_the_question_about_alternatives() -> None:
    driver = ordered()
    driver.handle(issue(ev.IssueChoiceRequested, options=(Choice.REFUND,), default=Choice.REFUND))
    driver.handle(SHIPPED)
    assert [question.closed_by for question in driver.conversation.questions] == ["shipped"]


def test_a_shipment_of_a_replacement_that_is_not_known_yet_is_announced_once() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), SHIPPED)
    assert days_announced(driver, NoticeKind.REPLACEMENT_SHIPPED) == [(NEXT_WEDNESDAY, None)]
    assert reasons(driver.handle(SHIPPED)) == ["already_shipped"]


def test_a_shipment_names_its_carrier_and_number() -> None:
    driver = ordered()
    driver.handle(issue(ev.IssueReplacementShipped, carrier="yamato", tracking_number="1234-5678-9012"))
    assert (last(driver).facts.carrier, last(driver).facts.tracking_number) == ("yamato", "1234-5678-9012")


def test_a_parcel_that_leaves_first_is_announced_with_its_units_and_the_date_of_the_rest() -> None:
    driver = ordered()
    driver.handle(part_shipped(carrier="yamato"))
    facts = last(driver).facts
    assert (facts.day, facts.next_update_by, facts.carrier) == (NEXT_WEDNESDAY, NEXT_FRIDAY, "yamato")
    assert [(each.name, each.quantity) for each in facts.lines] == [("マグカップ 1", 1)]


def test_a_parcel_of_a_line_that_was_not_reported_is_named_by_its_id() -> None:
    driver = ordered()
    driver.handle(part_shipped(lines=(LineQuantity(line_id="7", quantity=2),)))
    assert [(each.name, each.quantity) for each in last(driver).facts.lines] == [("7", 2)]


def test_a_parcel_reported_twice_is_announced_once_and_another_one_again() -> None:
    driver = ordered()
    driver.handle(part_shipped())
    assert reasons(driver.handle(part_shipped())) == ["duplicate_notice"]
    driver.handle(part_shipped(shipped_at=MONDAY + DAY))
    assert driver.kinds.count(NoticeKind.REPLACEMENT_PART_SHIPPED) == 2


def test_a_parcel_after_the_whole_shipment_is_ignored() -> None:
    driver = ordered()
    driver.handle(SHIPPED)
    assert reasons(driver.handle(part_shipped())) == ["replacement_replaced"]


def test_a_moved_delivery_names_both_days_and_its_cause() -> None:
    driver = ordered()
    driver.handle(SHIPPED)
    driver.handle(delivery_moved(NEXT_FRIDAY))
    facts = last(driver).facts
    assert (facts.day, facts.previous_day, facts.code) == (NEXT_FRIDAY, NEXT_WEDNESDAY, "typhoon")


def test_a_moved_delivery_reported_twice_is_announced_once() -> None:
    driver = ordered()
    driver.handle(delivery_moved(NEXT_FRIDAY))
    assert reasons(driver.handle(delivery_moved(NEXT_FRIDAY))) == ["duplicate_notice"]


def test_a_delivery_that_moves_back_to_an_announced_day_is_announced_again() -> None:
    driver = ordered()
    driver.handle(delivery_moved(NEXT_FRIDAY))
    driver.handle(delivery_moved(NEXT_WEDNESDAY, previous_date=NEXT_FRIDAY))
    driver.handle(delivery_moved(NEXT_FRIDAY, changed_at=MONDAY + DAY))
    days = [day for day, _ in days_announced(driver, NoticeKind.REPLACEMENT_DELIVERY_CHANGED)]
    assert days == [NEXT_FRIDAY, NEXT_WEDNESDAY, NEXT_FRIDAY]


def test_the_first_answer_to_a_report_names_the_remedy_and_the_ship_date() -> None:
    facts = last(ordered()).facts
    assert (last(ordered()).kind, facts.plan, facts.day) == (NoticeKind.ISSUE_ACCEPTED, "replacement", FRIDAY)


def test_every_date_of_a_replacement_is_a_row_of_the_order() -> None:
    driver = ordered()
    driver.handle(delayed(NEXT_FRIDAY, 2))
    rows = [row for row in of(driver.facts, PromiseMade) if row.subject == "replacement"]
    assert [(row.order_id, row.subject_id, row.version, row.source) for row in rows] == [
        (ORDER, str(REPLACEMENT), 0, "issue.replacement_ordered"),
        (ORDER, str(REPLACEMENT), 2, "issue.replacement_delayed"),
    ]


def test_a_report_of_parts_is_answered_with_the_parts() -> None:
    cup, pot = Component(sku="CUP", name="Cup", quantity=4), Component(sku="POT", name="Pot")
    parts = (PartQuantity(sku="CUP", quantity=2), PartQuantity(sku="POT"))
    reported = issue(ev.IssueAccepted).lines[0].model_copy(update={"components": (cup, pot), "parts": parts})
    driver = drive(placed(), issue(ev.IssueAccepted, lines=(reported,)), ORDERED)
    named = driver.handle(part_shipped())
    (notice,) = of(named, NoticeCreated)
    assert [(line.name, line.quantity) for line in notice.facts.lines] == [("Cup", 2), ("Pot", 1)]


def unshipped() -> ConversationDriver:
    driver = drive(placed(), issue(ev.IssueAccepted), ORDERED, SHIPPED)
    driver.handle(delayed(NEXT_FRIDAY, 1, cause="units_unshipped"))
    return driver


def test_a_replacement_that_did_not_leave_after_all_is_announced_with_its_new_date() -> None:
    notice = of(unshipped().facts, NoticeCreated)[-1]
    assert (notice.kind, notice.facts.day) == (NoticeKind.REPLACEMENT_DELAYED, NEXT_FRIDAY)


def test_a_second_departure_is_announced_as_well() -> None:
    driver = unshipped()
    assert [notice.kind for notice in of(driver.handle(SHIPPED), NoticeCreated)] == [NoticeKind.REPLACEMENT_SHIPPED]


def tracked(number: str | None = "4000-1111", previous: str | None = None) -> ev.IssueReplacementTracked:
    known = {"tracking_number": number, "previous_tracking_number": previous, "changed_at": MONDAY}
    return issue(ev.IssueReplacementTracked, **known, expected_delivery_date=NEXT_WEDNESDAY)


def test_a_tracking_number_that_comes_later_is_announced_once() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), ORDERED, SHIPPED)
    (notice,) = of(driver.handle(tracked()), NoticeCreated)
    assert (notice.kind, notice.facts.tracking_number) == (NoticeKind.REPLACEMENT_SHIPPED, "4000-1111")
    assert reasons(driver.handle(tracked())) == ["duplicate_notice"]


def test_another_carrier_without_a_number_is_no_news() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), ORDERED, SHIPPED)
    assert reasons(driver.handle(tracked(None))) == ["no_tracking_number"]
