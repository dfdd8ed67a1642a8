"""Promises of the ship date: confirmed, moved, repeated, missed, and never answered."""

from datetime import timedelta

from libs.common.events.issues import (
    IssueChoiceRequested,
    IssueReplacementDelayed,
    IssueReplacementPromised,
    IssueReplacementShipped,
    IssueReviewRequested,
)
from libs.common.events.warehouse import (
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementOrdered,
    ReplacementRejected,
)
from services.returns.domain.state.case_status import CaseStatus, case_status
from tests.returns.cases import ISSUE, open_scenario, refusal_reasons
from tests.returns.partner_answers import FRIDAY, MONDAY, THURSDAY, WEDNESDAY


def test_a_confirmation_in_time_is_the_first_version_of_the_promise() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    promised = scenario.last(IssueReplacementPromised)
    assert (promised.ship_date, promised.version) == (WEDNESDAY, 1)


def test_a_later_date_is_announced_as_a_delay() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    scenario.later(minutes=5).confirm(FRIDAY)
    delayed = scenario.last(IssueReplacementDelayed)
    assert (delayed.previous_ship_date, delayed.ship_date, delayed.version) == (WEDNESDAY, FRIDAY, 2)


def test_the_same_date_again_is_not_announced() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    assert refusal_reasons(scenario.confirm(WEDNESDAY)) == ["duplicate"]


def test_the_warehouse_delays_and_the_promise_gets_a_new_version() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    scenario.apply(
        ReplacementDelayed(issue_id=ISSUE, replacement_id=scenario.replacement_id, ship_date=MONDAY, cause="press")
    )
    delayed = scenario.last(IssueReplacementDelayed)
    assert (delayed.version, delayed.cause) == (2, "press")


def test_an_older_word_heard_later_is_stale() -> None:
    scenario = open_scenario()
    scenario.later(hours=1).confirm(THURSDAY)
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    scenario.later(hours=1).apply(ReplacementDelayed(**ids, ship_date=MONDAY))
    facts = scenario.later(hours=1).apply(
        ReplacementConfirmed(**ids, ship_date=THURSDAY), event_time=scenario.now - timedelta(hours=2)
    )
    assert refusal_reasons(facts) == ["stale"]
    assert scenario.known.outbound.promises[-1].ship_date == MONDAY


def test_a_word_older_than_a_repeated_one_is_stale_too() -> None:
    scenario = open_scenario()
    scenario.confirm(THURSDAY)
    scenario.later(hours=2).confirm(THURSDAY)
    delayed = ReplacementDelayed(issue_id=ISSUE, replacement_id=scenario.replacement_id, ship_date=MONDAY)
    assert refusal_reasons(scenario.apply(delayed, event_time=scenario.now - timedelta(hours=1))) == ["stale"]


def test_a_rejection_older_than_the_confirmation_is_stale() -> None:
    scenario = open_scenario()
    scenario.later(hours=2).confirm(THURSDAY)
    rejected = ReplacementRejected(issue_id=ISSUE, replacement_id=scenario.replacement_id)
    assert refusal_reasons(scenario.apply(rejected, event_time=scenario.now - timedelta(hours=1))) == ["stale"]


def test_a_warehouse_whose_clock_runs_ahead_can_still_change_its_word() -> None:
    scenario = open_scenario()
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    scenario.apply(ReplacementConfirmed(**ids, ship_date=THURSDAY), event_time=scenario.now + timedelta(days=2))
    scenario.later(hours=1).apply(ReplacementDelayed(**ids, ship_date=MONDAY))
    assert scenario.last(IssueReplacementDelayed).ship_date == MONDAY


def test_a_date_in_the_past_is_announced_as_today() -> None:
    scenario = open_scenario()
    scenario.later(days=3).confirm(WEDNESDAY)
    assert scenario.last(IssueReplacementPromised).ship_date == FRIDAY


def test_a_promise_that_passes_unshipped_is_renewed_for_the_next_open_day() -> None:
    scenario = open_scenario()
    scenario.confirm(FRIDAY)
    delayed = scenario.until(IssueReplacementDelayed)
    assert (delayed.previous_ship_date, delayed.ship_date, delayed.cause) == (FRIDAY, MONDAY, "no_shipment")
    assert not scenario.all(IssueReviewRequested)


def test_from_the_second_slip_on_a_review_opens() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    assert scenario.until(IssueReviewRequested).cause == "not_shipping"
    assert len(scenario.all(IssueReplacementDelayed)) == 1
    assert scenario.last(IssueChoiceRequested).cause == "not_shipping"


def test_a_silent_warehouse_is_asked_again_under_the_same_id() -> None:
    scenario = open_scenario()
    scenario.until(ReplacementOrdered)
    first, second = scenario.all(ReplacementOrdered)
    assert first.replacement_id == second.replacement_id


def test_shipping_settles_the_review_of_a_silent_warehouse() -> None:
    scenario = open_scenario()
    scenario.until(IssueReviewRequested)
    scenario.ship()
    assert case_status(scenario.known) is CaseStatus.REPLACEMENT_SHIPPED


def test_without_a_word_from_the_warehouse_the_delivery_day_is_still_definite() -> None:
    scenario = open_scenario()
    scenario.ship()
    assert scenario.last(IssueReplacementShipped).expected_delivery_date == THURSDAY
