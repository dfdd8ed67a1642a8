"""Orders as the demo replays them, whichever files they came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Customer:
    customer_id: str
    name: str
    email: str
    language: str
    postal_code: str
    country: str
    region: str
    city: str
    street: str
    phone: str


@dataclass(frozen=True, slots=True)
class Line:
    line_id: str
    sku: str
    name: str
    product_group: str
    quantity: int
    unit_price: Decimal
    currency: str
    promised_ship_date: date
    preorder: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """`shipped_at` and `delivered_at` are what really happened later; the storefront does not know them at first."""

    order_id: str
    customer: Customer
    market: str
    placed_at: datetime
    lines: tuple[Line, ...]
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    cancelled_at: datetime | None = None
    purchase_count: int = 1

    @property
    def promised_ship_date(self) -> date:
        return max(line.promised_ship_date for line in self.lines)

    @property
    def is_preorder(self) -> bool:
        return any(line.preorder for line in self.lines)


@dataclass(frozen=True, slots=True)
class OrderBook:
    """All orders of one replay, and the zone in which their shop counts days."""

    orders: Sequence[Order]
    zone: ZoneInfo
