"""Promise integrity: each given date has one outcome, and one that broke in silence is found."""

from datetime import date
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from deploy.verification.promise_accuracy import measure_accuracy
from deploy.verification.promise_integrity import Outcome, count_by_day, judge_promises
from tests.verification.histories import ISSUE, LINE, ORDER_LINE, HistoryBuilder, valid_history

DAY = 24.0
KEPT, ANNOUNCED, SILENT, RELEASED, OPEN = Outcome
MARCH_3, MARCH_6 = date(2026, 3, 3), date(2026, 3, 6)


def ref(day: str, version: int, subject: str = "line", subject_id: str = "L1") -> dict[str, Any]:
    return {"subject": subject, "subject_id": subject_id, "version": version, "day": day}


def ordered(**line: Any) -> HistoryBuilder:
    """Return an order of 2 March that is promised for the 3rd."""
    story = HistoryBuilder()
    story.add("storefront.orders", "order.placed", 0, order_id="S1", customer_id="C1", lines=[{**ORDER_LINE, **line}])
    return story


def outcomes(story: HistoryBuilder) -> list[tuple[date, Outcome]]:
    return [(each.day, each.outcome) for each in judge_promises(story.history())]


def test_a_date_is_kept_by_a_shipment_on_its_day() -> None:
    story = ordered()
    story.add("storefront.orders", "order.shipped", DAY, order_id="S1", lines=[LINE])
    assert outcomes(story) == [(MARCH_3, KEPT)]


def test_a_date_without_a_shipment_or_a_notice_broke_in_silence() -> None:
    assert outcomes(ordered()) == [(MARCH_3, SILENT)]


def test_a_shipment_after_its_day_does_not_mend_the_silence() -> None:
    story = ordered()
    story.add("storefront.orders", "order.shipped", 2.5 * DAY, order_id="S1", lines=[LINE])
    assert outcomes(story) == [(MARCH_3, SILENT)]


def test_a_part_of_the_units_does_not_keep_a_date() -> None:
    story = ordered(quantity=2)
    story.add("storefront.orders", "order.shipped", DAY, order_id="S1", lines=[LINE], shipment_id="P1")
    story.add("storefront.orders", "order.shipped", DAY + 1, order_id="S1", lines=[LINE], shipment_id="P1")
    assert outcomes(story) == [(MARCH_3, SILENT)]
    story.add("storefront.orders", "order.shipped", DAY + 2, order_id="S1", lines=[LINE], shipment_id="P2")
    assert outcomes(story) == [(MARCH_3, KEPT)]


def test_a_later_date_that_is_announced_in_time_was_announced_before() -> None:
    story = ordered()
    notice = {"announces": [ref("2026-03-06", 2)], "supersedes": [ref("2026-03-03", 1)]}
    story.notice("order_delayed", DAY, **notice)
    story.add("storefront.orders", "order.shipped", 4 * DAY, order_id="S1", lines=[LINE])
    assert outcomes(story) == [(MARCH_3, ANNOUNCED), (MARCH_6, KEPT)]


def test_a_later_date_that_is_announced_after_the_day_is_too_late() -> None:
    story = ordered()
    story.notice("order_delayed", 2 * DAY, announces=[ref("2026-03-06", 2)])
    assert outcomes(story)[0] == (MARCH_3, SILENT)


def test_a_notice_without_a_date_announces_the_break_as_well() -> None:
    story = ordered()
    story.notice("order_overdue", DAY, supersedes=[ref("2026-03-03", 1)])
    assert outcomes(story) == [(MARCH_3, ANNOUNCED)]


def test_an_earlier_date_releases_the_one_before() -> None:
    story = ordered(promised_ship_date="2026-03-06")
    story.notice("order_early", 0.1, announces=[ref("2026-03-03", 2)])
    story.add("storefront.orders", "order.shipped", DAY, order_id="S1", lines=[LINE])
    assert outcomes(story) == [(MARCH_3, KEPT), (MARCH_6, RELEASED)]


def test_a_cancellation_releases_the_date() -> None:
    story = ordered()
    story.add("storefront.orders", "order.cancelled", 3, order_id="S1")
    assert outcomes(story) == [(MARCH_3, RELEASED)]


def test_a_line_that_is_taken_out_of_the_order_releases_its_date() -> None:
    story = ordered()
    story.add("storefront.orders", "order.changed", 3, order_id="S1", lines=[{**ORDER_LINE, "quantity": 0}])
    assert outcomes(story) == [(MARCH_3, RELEASED)]


def test_a_day_that_is_not_over_is_open() -> None:
    story = ordered()
    story.days = 1
    assert outcomes(story) == [(MARCH_3, OPEN)]


def test_the_date_of_a_replacement_counts_from_its_notice() -> None:
    story = valid_history()
    assert all(each.given.subject[1] != "replacement" for each in judge_promises(story.history()))
    announces = [ref("2026-03-06", 0, "replacement", "r1")]
    story.notice("replacement_promised", 73, issue_id=ISSUE, announces=announces)
    assert (MARCH_6, KEPT) in outcomes(story)
    assert (MARCH_6, SILENT) in outcomes(story.without("replacement.shipped"))


def test_a_choice_that_is_offered_in_time_announces_that_the_replacement_does_not_leave() -> None:
    story = valid_history().without("replacement.shipped")
    story.notice("replacement_promised", 73, issue_id=ISSUE, announces=[ref("2026-03-06", 0, "replacement", "r1")])
    story.notice("choice_requested", 80, issue_id=ISSUE)
    assert (MARCH_6, ANNOUNCED) in outcomes(story)


@given(
    st.lists(st.tuples(st.floats(0, 240), st.integers(3, 14)), max_size=6),
    st.none() | st.floats(0, 400),
    st.integers(0, 20),
)
def test_every_given_date_has_exactly_one_outcome(
    moves: list[tuple[float, int]], shipped: float | None, days: int
) -> None:
    story = ordered()
    story.days = days
    for number, (hours, day) in enumerate(moves):
        story.notice("order_delayed", hours, notice_id=str(number), announces=[ref(f"2026-03-{day:02}", number + 2)])
    if shipped is not None:
        story.add("storefront.orders", "order.shipped", shipped, order_id="S1", lines=[LINE])
    judged = judge_promises(story.history())
    counted = count_by_day(judged)
    assert len(judged) == len(moves) + 1
    assert sum(sum(counts.values()) for counts in counted.values()) == len(judged)
    assert all(each.outcome is not SILENT for each in judged if each.day >= story.history().now.date())


def date_follows(day: str = "2026-03-03") -> HistoryBuilder:
    """Return a report of 2 March whose customer was given the day by which the ship date follows."""
    story = HistoryBuilder()
    ids = {"issue_id": ISSUE, "order_id": "S1", "customer_id": "C1", "replacement_id": "R1"}
    story.add("warehouse.orders", "replacement.ordered", 0, **ids)
    story.notice("issue_accepted", 1, issue_id=ISSUE, announces=[ref(day, 0, "replacement_date", "R1")], supersedes=[])
    return story


def test_a_day_by_which_a_date_follows_is_kept_by_the_notice_of_the_date() -> None:
    story = date_follows()
    story.notice(
        "replacement_promised",
        DAY,
        issue_id=ISSUE,
        announces=[ref("2026-03-06", 1, "replacement", "R1")],
        supersedes=[],
    )
    assert outcomes(story)[0] == (MARCH_3, KEPT)


def test_a_day_by_which_a_date_follows_is_kept_by_the_choice_too() -> None:
    story = date_follows()
    story.notice("choice_requested", DAY, issue_id=ISSUE, announces=[], supersedes=[])
    assert outcomes(story) == [(MARCH_3, KEPT)]


def test_a_day_by_which_a_date_follows_breaks_in_silence_like_any_other() -> None:
    assert outcomes(date_follows()) == [(MARCH_3, SILENT)]


def test_dates_that_the_shop_states_after_the_checkout_count_like_the_others() -> None:
    story = ordered()
    story.add("storefront.orders", "order.changed", 1, order_id="S1", lines=[{**ORDER_LINE, "line_id": "L2"}])
    story.add(
        "storefront.orders", "order.shipped", DAY, order_id="S1", lines=[LINE], expected_delivery_date="2026-03-06"
    )
    assert outcomes(story) == [(MARCH_3, KEPT), (MARCH_3, SILENT), (MARCH_6, SILENT)]


def test_every_first_date_of_the_accuracy_is_among_the_dates_of_a_day() -> None:
    story = ordered(warehouse="osaka")
    story.add("storefront.orders", "order.changed", 1, order_id="S1", lines=[{**ORDER_LINE, "line_id": "L2"}])
    story.add(
        "storefront.orders", "order.shipped", DAY, order_id="S1", lines=[LINE], expected_delivery_date="2026-03-06"
    )
    first_dates = [each.kept.whole for each in measure_accuracy(story.history()) if each.dimension == "product_group"]
    assert sum(first_dates) == sum(sum(day.values()) for day in count_by_day(judge_promises(story.history())).values())
