"""State, commands and records of clusters: products or lots with more reports than chance explains."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from libs.common.decisions.facts import Record
from libs.common.events.envelope import Payload
from libs.common.events.products import DecisionComment
from libs.common.events.values import Identifier, LineQuantity, Reason


class ClusterStatus(StrEnum):
    PROPOSED = "proposed"
    ACTING = "acting"
    REFUSED = "refused"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """Author, comment and time of a decision. `staff` is `policy` for automatic decisions."""

    staff: str
    comment: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class Cluster:
    """`lot` is empty for a whole product; `since` is the first delivery date concerned, None for all.

    `units` and `orders` are the counts at detection, or at the last refusal.
    """

    cluster_id: UUID
    sku: str
    lot: str
    reasons: tuple[Reason, ...]
    units: int
    orders: int
    expected: float
    detected_at: datetime
    since: date | None = None
    status: ClusterStatus = ClusterStatus.PROPOSED
    is_held: bool = False
    warns_buyers: bool = False
    decision: DecisionRecord | None = None
    release: DecisionRecord | None = None


@dataclass(frozen=True, slots=True)
class Buyer:
    """A customer with delivered units of the cluster who has neither reported nor been warned."""

    order_id: str
    customer_id: str
    lines: tuple[LineQuantity, ...]


@dataclass(frozen=True, slots=True)
class ClusterState:
    """A cluster with the buyers still to be warned, loaded for events that may warn them."""

    cluster: Cluster | None
    buyers: tuple[Buyer, ...] = ()
    version: int = 0


@dataclass(frozen=True, slots=True)
class BuyerWarningSent(Record):
    """A row in `warned_buyers`."""

    cluster_id: UUID
    order_id: str


class ClusterCommand(Payload):
    """Commands of this service; they are never published."""

    cluster_id: UUID


class ClusterFound(ClusterCommand):
    TYPE: ClassVar = "cluster.found.v1"

    sku: Identifier
    lot: str
    reasons: tuple[Reason, ...]
    units: int
    orders: int
    expected: float
    since: date | None = None


class ClusterDecided(ClusterCommand):
    TYPE: ClassVar = "cluster.decided.v1"

    approve: bool
    hold: bool = True
    warn: bool = True
    staff: Identifier
    comment: DecisionComment


class ClusterReleased(ClusterCommand):
    TYPE: ClassVar = "cluster.released.v1"

    staff: Identifier
    comment: DecisionComment


class BuyersChanged(ClusterCommand):
    """More units of the cluster were delivered."""

    TYPE: ClassVar = "cluster.buyers_changed.v1"
