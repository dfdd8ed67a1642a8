"""Orders as the demo replays them, independent of their files."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class ReplayedCustomer:
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
class ReplayedPart:
    """Part of a kit; `quantity` is that in one kit."""

    sku: str
    name: str
    quantity: int


@dataclass(frozen=True, slots=True)
class ReplayedLine:
    """A line of an order; `parts` is empty unless the item is a kit."""

    line_id: str
    sku: str
    name: str
    product_group: str
    quantity: int
    unit_price: Decimal
    currency: str
    promised_ship_date: date
    preorder: bool = False
    ship_by: datetime | None = None
    promised_delivery_date: date | None = None
    lot: str | None = None
    parts: tuple[ReplayedPart, ...] = ()
    warehouse: str | None = None


@dataclass(frozen=True, slots=True)
class ReplayedOrder:
    """`shipped_at` and `delivered_at` are the real later times; the storefront publishes them when they come.

    Where the delivery date was promised with the order, no shipment event contains the real one.
    """

    order_id: str
    customer: ReplayedCustomer
    market: str
    placed_at: datetime
    lines: tuple[ReplayedLine, ...]
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    cancelled_at: datetime | None = None
    purchase_count: int = 1

    @property
    def promised_ship_date(self) -> date:
        return max(line.promised_ship_date for line in self.lines)

    @property
    def ship_by(self) -> datetime | None:
        """The time by which all of it had to be with the carrier, where it is known."""
        return max((line.ship_by for line in self.lines if line.ship_by), default=None)

    @property
    def promised_delivery_date(self) -> date | None:
        return max((line.promised_delivery_date for line in self.lines if line.promised_delivery_date), default=None)

    @property
    def is_preorder(self) -> bool:
        return any(line.preorder for line in self.lines)


@dataclass(frozen=True, slots=True)
class OrderDataset:
    """All orders of one replay, and the time zone of their shop."""

    orders: Sequence[ReplayedOrder]
    zone: ZoneInfo
