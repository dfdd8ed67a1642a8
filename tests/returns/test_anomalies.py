"""Reports of partners that do not fit reach staff, with their content and author."""

from uuid import UUID

import pytest

from libs.common.decisions.facts import Facts
from libs.common.events.carrier import CollectionCollected
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAnomalyDetected
from libs.common.events.payment import RefundCompleted
from libs.common.events.values import LineQuantity, Money
from libs.common.events.warehouse import ItemReceived, ReplacementConfirmed
from tests.returns.cases import ISSUE, TUESDAY, open_scenario

NOBODYS = UUID(int=77)
MONEY = Money.model_validate({"amount": "500", "currency": "JPY"})


def received(line_id: str = "1", quantity: int = 1) -> ItemReceived:
    return ItemReceived(
        issue_id=ISSUE, lines=(LineQuantity(line_id=line_id, quantity=quantity),), received_at=TUESDAY, receipt_id="r"
    )


def anomalies(facts: Facts) -> list[tuple[str, str]]:
    return [(fact.anomaly, fact.event_type) for fact in facts if isinstance(fact, IssueAnomalyDetected)]


@pytest.mark.parametrize(
    ("reported", "anomaly"),
    [
        (ReplacementConfirmed(issue_id=ISSUE, replacement_id=NOBODYS, ship_date=TUESDAY.date()), "unknown_replacement"),
        (
            RefundCompleted(issue_id=ISSUE, refund_id=NOBODYS, amount=MONEY, completed_at=TUESDAY),
            "unknown_refund",
        ),
        (CollectionCollected(issue_id=ISSUE, collection_id=NOBODYS, collected_at=TUESDAY), "unknown_collection"),
        (received(quantity=3), "surplus_received"),
    ],
)
def test_what_does_not_fit_reaches_staff(reported: Payload, anomaly: str) -> None:
    assert anomalies(open_scenario().apply(reported)) == [(anomaly, reported.TYPE)]


def test_the_author_and_the_event_are_named() -> None:
    scenario = open_scenario()
    scenario.apply(RefundCompleted(issue_id=ISSUE, refund_id=NOBODYS, amount=MONEY, completed_at=TUESDAY))
    found = scenario.last(IssueAnomalyDetected)
    assert (found.reported_by, found.event_id, found.order_id) == ("/test", "e", "O-1")


def test_what_a_review_asks_already_is_no_second_item() -> None:
    scenario = open_scenario()
    scenario.ship(lines=(LineQuantity(line_id="1", quantity=3),))
    assert scenario.known.reviews
    assert scenario.all(IssueAnomalyDetected) == []


def test_what_fits_is_no_anomaly() -> None:
    scenario = open_scenario()
    scenario.confirm(TUESDAY.date())
    assert scenario.all(IssueAnomalyDetected) == []
