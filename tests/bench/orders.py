"""Orders of the benchmark and the reports about them.

Every order has one line of one unit, reported defective: the longest path through the services, with a replacement, a
collection and an inspection. Records are encoded once from the contract's classes, with placeholders for the ids, so
that loading is cheap and cannot drift from the contract.
"""

import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from libs.common.events.envelope import Payload
from libs.common.events.registry import encode, event_class, schema_name
from libs.common.events.storefront import OrderDelivered, OrderPlaced, OrderShipped
from libs.common.events.values import Address, Contact, Language, LineQuantity, Money, OrderLine

SOURCE = "/bench"
LINE = "line-1"
LINES = (LineQuantity(line_id=LINE, quantity=1),)

_MARK = "MARK"


def order_id(number: int) -> str:
    return f"B{number:08d}"


def order_records(numbers: Sequence[int], now: datetime | None = None) -> Iterator[tuple[bytes, bytes]]:
    """Key and value of all events of these orders, delivered yesterday; half in English."""
    languages = [_templates(language, now or datetime.now(UTC)) for language in Language]
    for number in numbers:
        own = f"{number:08d}".encode()
        for template in languages[number % len(languages)]:
            yield b"C" + own, template.replace(_MARK.encode(), own)


def report_call(number: int, port: int, api_key: str) -> bytes:
    """`POST /v1/issues` about one order as complete bytes."""
    body = json.dumps(
        {
            "order_id": order_id(number),
            "customer_id": f"C{number:08d}",
            "reason": "defective",
            "lines": [{"line_id": LINE, "quantity": 1}],
            "description": "The display stays dark.",
        }
    )
    head = (
        f"POST /v1/issues HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {api_key}\r\n"
        f"Idempotency-Key: bench-{number}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


def _templates(language: Language, now: datetime) -> list[bytes]:
    events = _story(language, now)
    return [_encoded(payload, moment) for payload, moment in events]


def _story(language: Language, now: datetime) -> list[tuple[Payload, datetime]]:
    placed, shipped, delivered = (now - timedelta(days=days) for days in (5, 3, 1))
    order = f"B{_MARK}"
    return [
        (_placed(order, language, placed), placed),
        (OrderShipped(order_id=order, lines=LINES, shipped_at=shipped), shipped),
        (OrderDelivered(order_id=order, lines=LINES, delivered_at=delivered), delivered),
    ]


def _placed(order: str, language: Language, at: datetime) -> OrderPlaced:
    name = "山田 花子" if language is Language.JA else "Jane Miller"
    price = Money(amount=Decimal("12800"), currency="JPY")
    item = OrderLine(line_id=LINE, sku=f"SKU-{_MARK}", name="Desk lamp", quantity=1, unit_price=price)
    address = Address(
        name=name, postal_code="150-0001", country="JP", region="東京都", city="渋谷区", street="神宮前 1-2-3"
    )
    contact = Contact(name=name, email=f"c{_MARK}@example.jp", language=language, phone="+81-3-0000-0000")
    return OrderPlaced(
        order_id=order, customer_id=f"C{_MARK}", placed_at=at, lines=(item,), contact=contact, ship_to=address
    )


def _encoded(payload: Payload, moment: datetime) -> bytes:
    kind = re.sub(r"\W", "-", payload.TYPE)
    event = event_class(type(payload))(
        id=f"{kind}-{_MARK}",
        source=f"{SOURCE}/storefront",
        type=payload.TYPE,
        subject=payload.subject,
        time=moment,
        dataschema=schema_name(type(payload)),
        data=payload,
    )
    return encode(event)
