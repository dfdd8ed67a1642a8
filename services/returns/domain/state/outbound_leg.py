"""State of the outbound leg: a replacement, its ship promises and its parcels."""

from collections.abc import Mapping
from dataclasses import field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.values import Variant
from libs.common.events.warehouse import ReplacementShipmentChanged
from services.returns.domain.state.line_quantities import UnitCounts, add_counts
from services.returns.policy.carrier_statuses import TrackingScan


class OutboundStatus(StrEnum):
    NONE = "none"
    ORDERED = "ordered"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


AWAITING_SHIPMENT = (OutboundStatus.ORDERED, OutboundStatus.CONFIRMED)
SHIPPED_OR_DELIVERED = (OutboundStatus.SHIPPED, OutboundStatus.DELIVERED)


@dataclass(frozen=True, slots=True)
class ShipPromise:
    """Ship date announced to the customer. Version 0 comes with the order, version 1 with the first confirmation.

    Where the first date is the warehouse's (`date_known_by`), version 0 is the date asked for and is not announced.
    """

    ship_date: date
    version: int


@dataclass(frozen=True)
class Parcel:
    """One box with units of a replacement."""

    parcel_id: str
    counts: UnitCounts
    expected_delivery: date
    delivered_at: datetime | None = None
    shipped_at: datetime | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    serials: tuple[str, ...] = ()
    changed_at: datetime | None = None
    """Time of the warehouse's newest change of its units."""
    handed_to: str | None = None
    """Receiver, if not the customer: a neighbour, a locker."""
    tracked_at: datetime | None = None
    """Time of the newest change of its carrier or number."""
    dated_at: datetime | None = None
    """Time of the newest change of its delivery day."""
    left_again_at: datetime | None = None
    """Time of a later statement that it left: what the warehouse calls off before is no longer about it."""
    beyond: UnitCounts = field(default_factory=dict)
    """Units in it for which the order had no place: they count as soon as others turn out not to have left."""
    is_unlisted: bool = False
    """True if the warehouse named no units: it holds all of the order that are in no other parcel."""


@dataclass(frozen=True)
class OutboundLeg:
    """One replacement order. `number` counts the replacement orders of the case.

    `ordered` are the units of this order, `shipped` those that left in `parcels`. `variant` ships instead of the
    ordered item. `early_deliveries` are deliveries by parcel id that arrived before their shipment event.
    `missed_promises` are promised dates that passed without shipment. `warehouse_updated_at` is the time of the
    warehouse's latest statement about the ship date. `scans` is the last scan by parcel, `turned_back` the time since
    which a parcel moves to its sender, `returned` the units that are back. `spare` are parcels that left when every
    unit was in others already: those may turn out not to have left. `early_changes` are changes of parcels that arrived
    before their shipment event.
    """

    status: OutboundStatus = OutboundStatus.NONE
    number: int = 0
    replacement_id: UUID | None = None
    ordered: UnitCounts = field(default_factory=dict)
    shipped: UnitCounts = field(default_factory=dict)
    parcels: tuple[Parcel, ...] = ()
    early_deliveries: Mapping[str, datetime] = field(default_factory=dict)
    variant: Variant | None = None
    scans: Mapping[str, TrackingScan] = field(default_factory=dict)
    turned_back: Mapping[str, datetime] = field(default_factory=dict)
    returned: UnitCounts = field(default_factory=dict)
    spare: tuple[Parcel, ...] = ()
    early_changes: tuple[ReplacementShipmentChanged, ...] = ()
    called_off: Mapping[str, datetime] = field(default_factory=dict)
    """Parcels that did not leave after all, with the time of that."""
    promises: tuple[ShipPromise, ...] = ()
    order_attempts: int = 0
    missed_promises: int = 0
    expected_delivery: date | None = None
    delivered_at: datetime | None = None
    warehouse_updated_at: datetime | None = None
    date_known_by: date | None = None
    """Day by which the customer is given the first date; None: it came with the order."""
    date_expected_at: datetime | None = None
    """Time until which the first notice waits for the warehouse's date."""
    address_version: int = 0
    """Version of the address that the warehouse was given."""
    readdressed_at: datetime | None = None
    due_at: datetime | None = None

    @property
    def is_dated(self) -> bool:
        """Return whether a ship date was announced to the customer."""
        return self.date_known_by is None or len(self.promises) > 1

    @property
    def announced_dates(self) -> tuple[date, ...]:
        """Return the ship dates that were announced, in order."""
        announced = self.promises if self.date_known_by is None else self.promises[1:]
        return tuple([promise.ship_date for promise in announced])

    @property
    def has_moved(self) -> bool:
        """Return whether any of its units is known to have left the warehouse."""
        return self.status in SHIPPED_OR_DELIVERED or bool(self.delivered_at or self.shipped or self.early_deliveries)

    @property
    def last_scan(self) -> TrackingScan | None:
        """Return the latest scan of any of its parcels."""
        return max(self.scans.values(), key=lambda scan: scan.at, default=None)

    @property
    def surplus(self) -> UnitCounts:
        """Return the units that left although they were not ordered."""
        counts: UnitCounts = {}
        for parcel in (*self.parcels, *self.spare):
            counts = add_counts(counts, parcel.beyond)
        return counts

    def parcel_key(self, shipment_id: str | None, tracking_number: str | None) -> str:
        """Return the key of a parcel by what a carrier calls it; empty where that fits no parcel or several."""
        if shipment_id:
            return shipment_id
        tracked = [
            each.parcel_id for each in self.parcels if tracking_number and each.tracking_number == tracking_number
        ]
        if tracked:
            return tracked[0]
        return self.parcels[0].parcel_id if len(self.parcels) == 1 else tracking_number or ""

    def is_turned_back(self, parcel: Parcel) -> bool:
        """Return whether a parcel moves to its sender or is there."""
        return parcel.parcel_id in self.turned_back

    @property
    def is_coming_back(self) -> bool:
        """Return whether everything that was shipped moves to the sender, or is there."""
        return bool(self.parcels) and all(self.is_turned_back(each) for each in self.parcels)

    @property
    def delivered(self) -> UnitCounts:
        counts: UnitCounts = {}
        for parcel in self.parcels:
            counts = add_counts(counts, parcel.counts) if parcel.delivered_at else counts
        return counts
