"""Reports of partners that do not fit reach staff, with their content and author."""

from datetime import timedelta
from uuid import UUID

import pytest

from libs.common.decisions.facts import Anomaly, Facts, TimerFired
from libs.common.events import topics
from libs.common.events.carrier import CollectionCollected, ParcelFound
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAnomalyDetected
from libs.common.events.payment import RefundCompleted
from libs.common.events.registry import AnyEvent, decode, event_class
from libs.common.events.values import LineQuantity, Money
from libs.common.events.warehouse import ItemReceived, ReplacementConfirmed, ReplacementShipmentChanged
from services.returns.domain.anomalies import cause_id, detected_anomalies
from services.returns.domain.decide import HANDLERS
from services.returns.domain.state.early_events import early_event_timer
from services.returns.domain.state.exposure import CustomerContext
from services.returns.domain.state.kept_counts import KeptCount, count_timer
from tests.contracts.reading import SAMPLES, written
from tests.returns.cases import ISSUE, TUESDAY, open_scenario

NOBODYS = UUID(int=77)
PARTNERS = (topics.WAREHOUSE_EVENTS, topics.CARRIER_EVENTS, topics.PAYMENT_EVENTS)
MONEY = Money.model_validate({"amount": "500", "currency": "JPY"})


def paid(transaction_id: str | None = None) -> RefundCompleted:
    return RefundCompleted(
        issue_id=ISSUE, refund_id=NOBODYS, amount=MONEY, completed_at=TUESDAY, transaction_id=transaction_id
    )


def received(line_id: str = "1", quantity: int = 1) -> ItemReceived:
    return ItemReceived(
        issue_id=ISSUE, lines=(LineQuantity(line_id=line_id, quantity=quantity),), received_at=TUESDAY, receipt_id="r"
    )


def causes(*reports: Payload) -> list[str | None]:
    scenario = open_scenario()
    for report in reports:
        scenario.apply(report)
    return [found.cause_id for found in scenario.all(IssueAnomalyDetected)]


def anomalies(facts: Facts) -> list[tuple[str, str]]:
    return [(fact.anomaly, fact.event_type) for fact in facts if isinstance(fact, IssueAnomalyDetected)]


@pytest.mark.parametrize(
    ("reported", "anomaly"),
    [
        (ReplacementConfirmed(issue_id=ISSUE, replacement_id=NOBODYS, ship_date=TUESDAY.date()), "unknown_replacement"),
        (paid(), "unknown_refund"),
        (CollectionCollected(issue_id=ISSUE, collection_id=NOBODYS, collected_at=TUESDAY), "unknown_collection"),
        (received(quantity=3), "surplus_received"),
    ],
)
def test_what_does_not_fit_reaches_staff(reported: Payload, anomaly: str) -> None:
    assert anomalies(open_scenario().apply(reported)) == [(anomaly, reported.TYPE)]


def test_the_author_and_the_event_are_named() -> None:
    scenario = open_scenario()
    scenario.apply(paid())
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


def test_a_second_payment_of_an_unknown_refund_is_a_second_cause_and_a_repeated_one_is_not() -> None:
    assert causes(paid("T-1"), paid("T-2"), paid("T-1")) == ["transaction:T-1", "transaction:T-2", "transaction:T-1"]


def test_payments_without_a_transaction_are_distinguished_by_amount_and_time() -> None:
    later = paid().model_copy(update={"completed_at": TUESDAY + timedelta(hours=1)})
    first, second, third = causes(paid(), later, paid())
    assert first == third != second


def test_all_reports_about_one_unknown_replacement_have_one_cause() -> None:
    confirmed = ReplacementConfirmed(issue_id=ISSUE, replacement_id=NOBODYS, ship_date=TUESDAY.date())
    changed = ReplacementShipmentChanged(
        issue_id=ISSUE, replacement_id=NOBODYS, shipment_id="S-1", changed_at=TUESDAY, called_off=True
    )
    assert causes(confirmed, changed) == [f"replacement:{NOBODYS}"] * 2


def test_a_count_is_named_by_its_receipt() -> None:
    assert causes(received(quantity=3)) == ["count:r"]


WITH_IDS = [each for each in HANDLERS if getattr(each, "TOPIC", None) in PARTNERS and each is not ParcelFound]
"""Reports of partners; a found parcel has no id beside its issue, and is no anomaly."""


@pytest.mark.parametrize("payload", WITH_IDS)
def test_every_report_of_a_partner_about_a_case_names_its_cause(payload: type[Payload]) -> None:
    assert cause_id("any", decode(written(SAMPLES[payload.TYPE])).data)


def timer(name: str) -> AnyEvent:
    fired = TimerFired(name=name, due_at=TUESDAY, key=str(ISSUE))
    return event_class(TimerFired).model_construct(
        id="t", source="/returns/timers", type=fired.TYPE, subject=None, time=TUESDAY, data=fired
    )


def reported(context: CustomerContext, event: AnyEvent) -> tuple[str, str, str, str | None]:
    case = open_scenario().known
    (found,) = detected_anomalies(case, context, event, [Anomaly("surplus_received", "")], TUESDAY)
    return found.reported_by, found.event_type, found.event_id, found.cause_id


def test_a_count_that_was_kept_is_reported_by_the_warehouse_and_not_by_its_timer() -> None:
    context = CustomerContext(kept_counts={"r": KeptCount(received())})
    assert reported(context, timer(count_timer("r"))) == ("/warehouse", "item.received.v1", "r", "count:r")


def test_an_event_that_was_kept_is_reported_by_its_author_and_not_by_its_timer() -> None:
    event = decode(written(SAMPLES["refund.completed.v1"]))
    context = CustomerContext(early_events={"key": event})
    found = reported(context, timer(early_event_timer("key")))
    assert found[:3] == (event.source, event.type, event.id)
