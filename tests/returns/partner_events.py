"""Events of partners, staff and customers for random histories; each is built for the state of its case."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from hypothesis import strategies as st

from libs.common.decisions.facts import TimerFired
from libs.common.decisions.ids import derived_id
from libs.common.decisions.shipments import CountedShipment, CountedUnits
from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCollected,
    CollectionDeclined,
    ParcelDelivered,
    ParcelException,
    ParcelFound,
    ParcelScanned,
)
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueCollectionWindowChosen, IssueStaffDecided
from libs.common.events.notices import CustomerDecided
from libs.common.events.payment import RefundCompleted, RefundFailed, RefundReversed
from libs.common.events.values import (
    Choice,
    Condition,
    CountedLine,
    InspectedLine,
    LineQuantity,
    Money,
    RawStatus,
    ReceivedLine,
    Remedy,
    StaffAction,
    TimeWindow,
    Variant,
)
from libs.common.events.warehouse import (
    ItemInspected,
    ItemReceived,
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementRecalled,
    ReplacementRejected,
    ReplacementShipped,
)
from services.returns.domain.state.order_ledger import PaidBack
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.carrier_statuses import status_table
from tests.returns.cases import CALENDAR, ISSUE, CaseScenario, review_decision

ABOUT = {"issue_id": ISSUE, "order_id": "O-1", "customer_id": "C-1"}
RED = Variant(sku="POT-RED", name="Teapot, red")
WORDS = [(source, code) for source, words in status_table().items() for code in words if "/" not in code] + [
    ("yamato", "?")
]
Happening: TypeAlias = Callable[[CaseScenario], Payload]
numbers = st.integers(1, 3)
days = st.integers(-2, 6)
line_ids = st.sampled_from(["1"] * 6 + ["2"] * 5 + ["9"])
lines = st.lists(st.builds(LineQuantity, line_id=line_ids, quantity=st.integers(1, 2)), min_size=1, max_size=2)


def _day(scenario: CaseScenario, days: int) -> date:
    return CALENDAR.day(scenario.now) + timedelta(days=days)


def _named(kind: str, number: int) -> UUID:
    return derived_id(kind, ISSUE, number)


def warehouse_says(word: str, number: int, day: int, known: bool) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "replacement_id": _named("replacement", number)}
        match word:
            case "confirmed":
                return ReplacementConfirmed(**ids, ship_date=_day(scenario, day))
            case "delayed":
                return ReplacementDelayed(**ids, ship_date=_day(scenario, day))
            case "rejected":
                return ReplacementRejected(**ids, restock_date=_day(scenario, day * 5) if known else None)
            case "shipped":
                expected = _day(scenario, day) if known else None
                return ReplacementShipped(**ids, shipped_at=scenario.now, expected_delivery_date=expected)
            case "delivered":
                return ParcelDelivered(**ids, delivered_at=scenario.now)
            case _:
                expected = _day(scenario, day) if known else None
                return ParcelException(**ids, code="late", expected_delivery_date=expected, occurred_at=scenario.now)

    return happening


def courier_says(word: str, number: int, day: int) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "collection_id": _named("collection", number)}
        match word:
            case "booked":
                return CollectionBooked(**ids, window=TimeWindow(day=_day(scenario, day)))
            case "declined":
                return CollectionDeclined(**ids, cause="no_capacity", declined_at=scenario.now)
            case "failed":
                return CollectionAttemptFailed(
                    **ids, cause="nobody_home", attempted_at=scenario.now + timedelta(days=day)
                )
            case _:
                return CollectionCollected(**ids, collected_at=scenario.now)

    return happening


def bank_says(done: bool, number: int, amount: int, retriable: bool) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "refund_id": _named("refund", number)}
        if done:
            money = Money(amount=Decimal(amount), currency="JPY")
            return RefundCompleted(**ids, amount=money, completed_at=scenario.now)
        return RefundFailed(**ids, cause="bank", retriable=retriable, failed_at=scenario.now)

    return happening


def bank_pays(number: int, coins: int, transaction: int) -> Happening:
    """Return a payment of a part of a refund, or a second payment of it."""

    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "refund_id": _named("refund", number), "transaction_id": f"tx-{transaction}"}
        return RefundCompleted(**ids, amount=Money(amount=Decimal(coins), currency="JPY"), completed_at=scenario.now)

    return happening


def bank_returns(number: int, coins: int, transaction: int) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "refund_id": _named("refund", number), "transaction_id": f"rev-{transaction}"}
        amount = Money(amount=Decimal(coins), currency="JPY")
        return RefundReversed(**ids, amount=amount, cause="account_closed", reversed_at=scenario.now)

    return happening


def shop_does(change: str, number: int, coins: int) -> Happening:
    """Return the timer by which something that the shop or the bank did with the order reaches the case."""

    def happening(scenario: CaseScenario) -> Payload:
        order = scenario.order or scenario.order_of_report
        assert order
        match change:
            case "cancelled":
                order = replace(order, cancelled_lines=order.cancelled_lines | {str(number)})
            case "refunded":
                back = PaidBack(Decimal(coins), units={"1": 1}, line_amounts={"1": Decimal(coins)})
                order = replace(order, shop_refunds={**order.shop_refunds, f"R-{number}": back})
            case "goodwill":
                order = replace(order, shop_refunds={**order.shop_refunds, f"R-{number}": PaidBack(Decimal(coins))})
            case "delivered":
                unit = CountedShipment(scenario.now, (CountedUnits("1", 1),), f"P-{number}")
                known = tuple(each for each in order.deliveries if each.shipment_id != unit.shipment_id)
                order = replace(order, deliveries=(*known, unit))
            case "edited":
                lines = (
                    {**order.lines, "1": replace(order.lines["1"], quantity=number - 1)} if "1" in order.lines else {}
                )
                order = replace(order, lines={**order.lines, **lines})
            case "charged_back":
                order = replace(order, chargebacks={**order.chargebacks, f"cb-{number}": Decimal(coins)})
            case _:
                order = replace(order, won_chargebacks=order.won_chargebacks | {f"cb-{number}"})
        scenario.order = order
        return TimerFired(name=f"order:{number}", due_at=scenario.now)

    return happening


def warehouse_recalls(number: int) -> Happening:
    return lambda scenario: ReplacementRecalled(
        issue_id=ISSUE, replacement_id=_named("replacement", number), recalled_at=scenario.now
    )


def box_arrives(mark: str, number: int, line_id: str | None) -> Happening:
    """Return a box with some of the papers that a warehouse may find in it."""

    def happening(scenario: CaseScenario) -> Payload:
        papers: dict[str, Any] = {"replacement_id": _named("replacement", number)} if mark == "replacement" else {}
        counted = CountedLine(line_id=line_id, quantity=1, sku="SKU-1" if mark == "sku" else None)
        return ItemReceived(issue_id=ISSUE, lines=(counted,), received_at=scenario.now, **papers)

    return happening


def received(counted: Sequence[LineQuantity]) -> Happening:
    return lambda scenario: ItemReceived(issue_id=ISSUE, lines=tuple(counted), received_at=scenario.now)


def inspected(counted: Sequence[LineQuantity], condition: Condition) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        found = tuple(InspectedLine(**one.model_dump(), condition=condition) for one in counted)
        return ItemInspected(issue_id=ISSUE, lines=found, inspected_at=scenario.now)

    return happening


def customer_says(number: int, choice: Choice) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        return CustomerDecided(
            order_id="O-1",
            customer_id="C-1",
            issue_id=ISSUE,
            choice_id=_named("choice", number),
            choice=choice,
            requested_sku=RED.sku if choice is Choice.CHANGE else None,
            decided_at=scenario.now,
        )

    return happening


def review_decided(cause: ReviewCause | None, approved: bool) -> Happening:
    """Decide a review; `None` means any open one."""

    def happening(scenario: CaseScenario) -> Payload:
        is_open = scenario.known.reviews[0].cause if scenario.known.reviews else ReviewCause.VALUE
        return review_decision(cause or is_open, approved, scenario.now)

    return happening


def part_says(word: str, number: int, pieces: int, parcel: str) -> Happening:
    """Partial events: some units shipped separately, short, or delivered."""

    def happening(scenario: CaseScenario) -> Payload:
        ids = {"issue_id": ISSUE, "replacement_id": _named("replacement", number)}
        some = (LineQuantity(line_id="1", quantity=pieces),)
        match word:
            case "shipped":
                return ReplacementShipped(**ids, shipped_at=scenario.now, lines=some, shipment_id=parcel)
            case "short":
                return ReplacementRejected(**ids, lines=some, variants=(RED,), restock_date=_day(scenario, 5))
            case _:
                return ParcelDelivered(**ids, delivered_at=scenario.now, shipment_id=parcel)

    return happening


def carrier_scans(source_code: tuple[str, str], number: int, back: bool, hours_ago: int) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        kind, name = ("collection", "collection_id") if back else ("replacement", "replacement_id")
        raw = RawStatus(source=source_code[0], code=source_code[1])
        at = scenario.now - timedelta(hours=hours_ago)
        return ParcelScanned(issue_id=ISSUE, **{name: _named(kind, number)}, raw=raw, scanned_at=at)

    return happening


def window_picked(days: int) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        window = TimeWindow(day=_day(scenario, days), from_hour=18, to_hour=20)
        return IssueCollectionWindowChosen(**ABOUT, window=window, chosen_at=scenario.now)

    return happening


def staff_says(action: StaffAction, review: ReviewCause | None, remedy: Remedy | None) -> Happening:
    def happening(scenario: CaseScenario) -> Payload:
        about = {**ABOUT, "decision_id": _named("decision", 1), "staff": "ops-1", "comment": "because"}
        return IssueStaffDecided(**about, action=action, review=review, remedy=remedy, decided_at=scenario.now)

    return happening


def withdrawn(scenario: CaseScenario) -> Payload:
    """Return the withdrawal of a report by its customer, as intake publishes it."""
    about = {**ABOUT, "decision_id": _named("decision", 2), "staff": "customer", "comment": "taken back"}
    return IssueStaffDecided(**about, action=StaffAction.CANCEL, decided_at=scenario.now)


def found(with_customer: bool) -> Happening:
    return lambda scenario: ParcelFound(issue_id=ISSUE, with_customer=with_customer, found_at=scenario.now)


def other_item(scenario: CaseScenario) -> Payload:
    line = ReceivedLine(line_id="1", quantity=1, sku="BRICK")
    return ItemReceived(issue_id=ISSUE, lines=(line,), received_at=scenario.now)
