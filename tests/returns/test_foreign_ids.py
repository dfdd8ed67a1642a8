"""Partner events that name ids of another case, or of no case: an anomaly, and no effect."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.facts import Anomaly
from libs.common.events import carrier, payment, warehouse
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAnomalyDetected
from libs.common.events.values import Money, RawStatus, TimeWindow
from tests.returns.cases import ISSUE, TUESDAY, CaseScenario, open_scenario

MONEY = Money.model_validate({"amount": "500", "currency": "JPY"})
DAY = TUESDAY.date() + timedelta(days=1)
WINDOW = TimeWindow(day=DAY, from_hour=9, to_hour=12)

OF_A_REPLACEMENT: dict[type[Payload], dict[str, Any]] = {
    warehouse.ReplacementConfirmed: {"ship_date": DAY},
    warehouse.ReplacementDelayed: {"ship_date": DAY},
    warehouse.ReplacementRejected: {"cause": "out_of_stock"},
    warehouse.ReplacementShipped: {"shipped_at": TUESDAY},
    warehouse.ReplacementRecalled: {"recalled_at": TUESDAY},
    carrier.ParcelDelivered: {"delivered_at": TUESDAY},
    carrier.ParcelException: {"code": "lost", "occurred_at": TUESDAY},
}
OF_A_COLLECTION: dict[type[Payload], dict[str, Any]] = {
    carrier.CollectionBooked: {"window": WINDOW},
    carrier.CollectionDeclined: {"cause": "no_capacity", "declined_at": TUESDAY},
    carrier.CollectionAttemptFailed: {"cause": "nobody_home", "attempted_at": TUESDAY},
    carrier.CollectionCollected: {"collected_at": TUESDAY},
}
OF_A_REFUND: dict[type[Payload], dict[str, Any]] = {
    payment.RefundCompleted: {"amount": MONEY, "completed_at": TUESDAY},
    payment.RefundFailed: {"cause": "closed", "retriable": False, "failed_at": TUESDAY},
    payment.RefundReversed: {"transaction_id": "t", "amount": MONEY, "cause": "closed", "reversed_at": TUESDAY},
}
EVENTS: list[tuple[type[Payload], str, dict[str, Any]]] = [
    (kind, name, fields)
    for name, kinds in (
        ("replacement_id", OF_A_REPLACEMENT),
        ("collection_id", OF_A_COLLECTION),
        ("refund_id", OF_A_REFUND),
    )
    for kind, fields in kinds.items()
]
SCANS = st.sampled_from(["delivered", "in_transit", "return_to_sender", "failure"])


def accepted(scenario: CaseScenario) -> None:
    """Leave the case as it was opened."""


def shipped(scenario: CaseScenario) -> None:
    scenario.ship()


def delivered(scenario: CaseScenario) -> None:
    scenario.ship()
    scenario.deliver()


STAGES = st.sampled_from([accepted, shipped, delivered])


def assert_no_effect(scenario: CaseScenario, event: Payload, anomaly: str) -> None:
    before = scenario.known
    facts = scenario.apply(event)
    assert scenario.known == before
    assert [fact.reason for fact in facts if isinstance(fact, Anomaly)] == [anomaly]
    assert {type(fact) for fact in facts} == {Anomaly, IssueAnomalyDetected}


@given(STAGES, st.sampled_from(EVENTS), st.uuids())
def test_an_event_about_a_movement_that_was_never_ordered_changes_nothing(
    reach: Callable[[CaseScenario], None], event: tuple[type[Payload], str, dict[str, Any]], foreign: UUID
) -> None:
    kind, name, fields = event
    scenario = open_scenario()
    reach(scenario)
    reported = kind.model_validate({"issue_id": ISSUE, name: foreign, **fields})
    assert_no_effect(scenario, reported, f"unknown_{name.removesuffix('_id')}")


@given(STAGES, SCANS, st.sampled_from(["replacement_id", "collection_id"]), st.uuids(), st.booleans())
def test_a_scan_that_names_a_foreign_parcel_changes_nothing_whatever_else_it_names(
    reach: Callable[[CaseScenario], None], code: str, name: str, foreign: UUID, names_own_replacement: bool
) -> None:
    scenario = open_scenario()
    reach(scenario)
    own = {"replacement_id": scenario.replacement_id} if names_own_replacement else {}
    raw = RawStatus(source="easypost", code=code)
    ids = {"issue_id": ISSUE, **own, name: foreign}
    scan = carrier.ParcelScanned.model_validate({**ids, "raw": raw, "scanned_at": scenario.now})
    assert_no_effect(scenario, scan, f"unknown_{name.removesuffix('_id')}")
