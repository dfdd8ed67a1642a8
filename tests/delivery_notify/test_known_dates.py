"""The dates that a customer knows are those of the ledger: by notices that were sent, the checkout and the page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given, settings

from libs.common.decisions.facts import Fact
from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeKind, PromiseSubject
from libs.common.events.storefront import (
    OrderChanged,
    OrderDelayed,
    OrderDelivered,
    OrderPromiseChanged,
    OrderShipped,
    ShipmentChanged,
)
from services.delivery_notify.domain.notices import LineExcluded, NoticeCreated, NoticesWithdrawn, PromiseMade
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    MONDAY,
    NEXT_FRIDAY,
    ORDER,
    ConversationDriver,
    line,
    of,
    placed,
)
from tests.delivery_notify.test_histories import HISTORIES, answer_to
from tests.examples import examples

MINUTE = timedelta(minutes=1)
TUESDAY = date(2027, 3, 9)
Promise = tuple[str, str]
"""Subject and id of a promise."""


@dataclass
class Customer(ConversationDriver):
    """Conversation with the dates that its customer knows; a notice is sent when it is due, unless it was withdrawn."""

    known: dict[Promise, date] = field(default_factory=dict)
    unsent: dict[UUID, tuple[datetime, dict[Promise, date]]] = field(default_factory=dict)

    def handle(self, payload: Payload, subject: str | None = None) -> list[Fact]:
        self._send_due()
        facts = super().handle(payload, subject)
        for fact in facts:
            self._take(fact)
        self._send_due()
        return facts

    def _take(self, fact: Fact) -> None:
        match fact:
            case PromiseMade() if fact.surface:
                self.known[fact.subject, fact.subject_id] = fact.day
            case NoticeCreated():
                announced = {(each.subject.value, each.subject_id): each.day for each in fact.promises.announces}
                self.unsent[fact.notice_id] = (fact.due_at, announced)
            case NoticesWithdrawn():
                for notice_id in fact.notice_ids:
                    self.unsent.pop(notice_id, None)
            case LineExcluded():
                for notice_id in fact.notice_ids:
                    _, announced = self.unsent.get(notice_id, (self.now, {}))
                    for each in [each for each in announced if each[1] == fact.line_id and len(announced) > 1]:
                        del announced[each]

    def _send_due(self) -> None:
        for notice_id, (due_at, announced) in list(self.unsent.items()):
            if due_at <= self.now:
                self.known |= announced
                del self.unsent[notice_id]

    def wrong(self) -> list[tuple[str, str, date | None, date]]:
        """Return the promised dates of open lines that differ from those that the customer knows."""
        self._send_due()
        found: list[tuple[str, str, date | None, date]] = []
        for each in self.conversation.lines:
            for subject, promise, open_ in (
                (PromiseSubject.LINE, each.shipping, each.awaiting_shipment),
                (PromiseSubject.DELIVERY, each.delivery, each.awaiting_delivery),
            ):
                known = self.known.get((subject, each.line_id))
                if open_ and promise.day and not promise.updates_sent and known and known != promise.day:
                    found.append((subject.value, each.line_id, known, promise.day))
        return found


def units_come_back(history: Sequence[Any]) -> bool:
    """Return true for units that left and are owed again: the notice about their delay was withdrawn when they left."""
    owed_again = any(isinstance(step, ShipmentChanged | OrderChanged) for step in history)
    return owed_again and any(isinstance(step, OrderShipped | OrderDelivered) for step in history)


@settings(max_examples=examples(300), deadline=None)
@given(HISTORIES)
def test_a_customer_without_unsent_notices_knows_every_promised_date(history: list[Any]) -> None:
    customer = Customer()
    for step in history:
        match step:
            case timedelta():
                customer.advance_to(customer.now + step)
            case (index, choice, wish):
                if command := answer_to(customer, index, choice, wish):
                    customer.handle(command)
            case payload:
                customer.handle(payload)
    if customer.state and not customer.unsent and not units_come_back(history):
        assert customer.wrong() == []


def moved(day: date, minutes: int) -> OrderPromiseChanged:
    moment = MONDAY + minutes * MINUTE
    return OrderPromiseChanged(order_id=ORDER, promised_ship_date=day, changed_at=moment)


def after(*events: Payload) -> Customer:
    """An order to be delivered on Tuesday, with these events within the minutes in which notices are batched."""
    customer = Customer()
    customer.handle(placed(line(promised_delivery_date=TUESDAY)))
    for each in events:
        customer.advance_to(customer.now + MINUTE)
        customer.handle(each)
    return customer


def delivery_of(customer: Customer) -> tuple[date | None, date | None]:
    """Return the promised delivery date and the announced one before it."""
    delivery = customer.conversation.lines[0].delivery
    return delivery.day, delivery.last_announced_date


def test_a_ship_date_that_moves_back_before_it_was_announced_takes_the_delivery_date_with_it() -> None:
    customer = after(moved(NEXT_FRIDAY, 1), moved(FRIDAY, 2))
    assert (delivery_of(customer)[0], customer.received) == (TUESDAY, [])


def test_a_ship_date_that_becomes_an_earlier_one_leaves_the_announced_delivery_date() -> None:
    customer = after(moved(NEXT_FRIDAY, 1), moved(FRIDAY - timedelta(days=1), 2))
    assert (delivery_of(customer)[0], customer.received) == (TUESDAY, [NoticeKind.ORDER_EARLY])


def test_a_second_slip_announces_the_delivery_date_in_place_of_the_one_that_the_customer_knows() -> None:
    customer = after(moved(NEXT_FRIDAY, 1), moved(date(2027, 3, 19), 2))
    (shown,) = customer.notices[-1].facts.lines
    assert (shown.delivery_date, shown.previous_delivery_date) == (date(2027, 3, 24), TUESDAY)


def test_a_second_slip_that_keeps_the_unannounced_delivery_date_announces_it() -> None:
    customer = after(moved(NEXT_FRIDAY, 1), moved(date(2027, 3, 15), 2))
    (shown,) = customer.notices[-1].facts.lines
    assert (shown.delivery_date, shown.previous_delivery_date) == (date(2027, 3, 17), TUESDAY)
    customer.advance_to(customer.now + 15 * MINUTE)
    assert customer.wrong() == []


def test_a_delay_without_a_date_leaves_the_delivery_date_that_the_customer_knows() -> None:
    delayed = OrderDelayed(order_id=ORDER, cause="typhoon", delayed_at=MONDAY + 2 * MINUTE)
    assert delivery_of(after(moved(NEXT_FRIDAY, 1), delayed))[0] == TUESDAY


def test_an_older_delay_leaves_the_delivery_date_as_it_moved() -> None:
    delayed = OrderDelayed(order_id=ORDER, cause="typhoon", delayed_at=MONDAY)
    assert delivery_of(after(moved(NEXT_FRIDAY, 1), delayed)) == (date(2027, 3, 16), TUESDAY)


def test_every_delivery_date_is_a_row_with_a_version_of_its_own() -> None:
    customer = after(moved(NEXT_FRIDAY, 1), moved(FRIDAY, 2))
    rows = [row for row in of(customer.facts, PromiseMade) if row.subject == PromiseSubject.DELIVERY]
    assert [(row.version, row.day) for row in rows] == [(1, TUESDAY), (2, date(2027, 3, 16)), (3, TUESDAY)]
