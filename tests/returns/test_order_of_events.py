"""Events that come before their cause, after their end, or about something unknown."""

from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import CollectionCancelled, CollectionRequested
from libs.common.events.issues import IssueReviewRequested
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Choice, Reason
from libs.common.events.warehouse import ReplacementConfirmed
from services.returns.domain.state.inbound_leg import InboundStatus
from tests.returns.cases import ISSUE, CaseScenario, accepted, event_types, open_scenario, refusal_reasons
from tests.returns.partner_answers import FRIDAY, choose, reject


def test_a_delivery_reported_before_its_shipping_waits_for_it() -> None:
    scenario = open_scenario()
    assert event_types(scenario.deliver()) == []
    assert event_types(scenario.ship()) == [
        "issue.replacement_shipped.v1",
        "issue.replacement_delivered.v1",
        "collection.requested.v1",
        "issue.collection_requested.v1",
    ]


def test_a_delivery_whose_shipping_never_arrives_goes_to_review() -> None:
    scenario = open_scenario()
    scenario.deliver()
    assert scenario.until(IssueReviewRequested).cause == "delivered_unshipped"
    assert not scenario.all(CollectionRequested)


def test_a_receipt_before_its_collection_counts() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.receive()
    assert refusal_reasons(scenario.collect()) == ["superseded"]
    assert scenario.known.inbound.status is InboundStatus.RECEIVED


def test_a_courier_who_is_not_needed_any_more_is_called_off() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.receive()
    assert scenario.last(CollectionCancelled).cause == "already_received"


def test_a_confirmation_after_the_shipping_is_superseded() -> None:
    scenario = open_scenario()
    scenario.ship()
    assert refusal_reasons(scenario.confirm(FRIDAY)) == ["superseded"]


def test_an_event_for_an_unknown_issue_is_an_anomaly() -> None:
    scenario = CaseScenario()
    facts = scenario.apply(
        ReplacementConfirmed(issue_id=ISSUE, replacement_id=derived_id("replacement", 1), ship_date=FRIDAY)
    )
    assert refusal_reasons(facts) == ["unknown_issue"]
    assert scenario.case is None


def test_an_event_for_an_unknown_replacement_is_an_anomaly() -> None:
    scenario = open_scenario()
    facts = scenario.apply(
        ReplacementConfirmed(issue_id=ISSUE, replacement_id=derived_id("replacement", 1), ship_date=FRIDAY)
    )
    assert refusal_reasons(facts) == ["unknown_replacement"]


def test_the_same_acceptance_again_changes_nothing() -> None:
    assert refusal_reasons(open_scenario().apply(accepted())) == ["already_open"]


def test_what_came_back_unasked_is_not_fetched_again_when_the_money_is_chosen() -> None:
    scenario = open_scenario(Reason.MISSING_PART)
    scenario.receive()
    reject(scenario)
    choose(scenario, Choice.REFUND)
    assert not scenario.all(CollectionRequested)
    assert scenario.all(RefundRequested)
