"""Events of an order and answers of its customer, for conversations."""

from datetime import date, timedelta

from libs.common.events.storefront import OrderPromiseChanged, OrderShipped
from libs.common.events.values import LineQuantity
from tests.delivery_notify.conversation_driver import MONDAY, ORDER


def changed(day: date, hours: int = 1, *line_ids: str) -> OrderPromiseChanged:
    moment = MONDAY + timedelta(hours=hours)
    return OrderPromiseChanged(order_id=ORDER, line_ids=line_ids, promised_ship_date=day, changed_at=moment)


def shipped(*line_ids: str, quantity: int = 1) -> OrderShipped:
    lines = tuple(LineQuantity(line_id=each, quantity=quantity) for each in line_ids or ("1",))
    return OrderShipped(order_id=ORDER, lines=lines, shipped_at=MONDAY)
