"""Outbound leg of an issue: the replacement, and the choice when it cannot be sent."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events.issues.base import IssueEvent
from libs.common.events.storefront import Lines
from libs.common.events.values import (
    Choice,
    Day,
    Remedy,
    UtcTime,
    Variant,
)


class IssueReplacementOrdered(IssueEvent):
    """A replacement was ordered from the warehouse."""

    TYPE: ClassVar = "issue.replacement_ordered.v1"

    replacement_id: UUID
    """Replacement order."""
    remedy: Remedy
    """Remedy that this order carries out."""
    lines: Lines
    """Units to be sent."""
    promised_ship_date: Day
    """First ship date promised to the customer; with `date_known_by` only the date asked of the warehouse."""
    date_expected_at: UtcTime | None = None
    """Time until which the answer of the warehouse is awaited before the customer is notified."""
    date_known_by: Day | None = None
    """Day by which the customer is given the ship date. Absent: `promised_ship_date` is promised."""
    ordered_at: UtcTime
    """Time of the order."""


class IssueReplacementPromised(IssueEvent):
    """The warehouse confirmed the replacement with a ship date."""

    TYPE: ClassVar = "issue.replacement_promised.v1"

    replacement_id: UUID
    """Replacement order."""
    ship_date: Day
    """Promised ship date."""
    version: Annotated[int, Field(ge=1)]
    """Number of this promise for the replacement, from 1."""


class IssueReplacementDelayed(IssueEvent):
    """The promised ship date of a replacement changed to a later one."""

    TYPE: ClassVar = "issue.replacement_delayed.v1"

    replacement_id: UUID
    """Replacement order."""
    previous_ship_date: Day
    """Date promised before."""
    ship_date: Day
    """New promised ship date."""
    version: Annotated[int, Field(ge=1)]
    """Number of this promise for the replacement, from 1."""
    cause: str | None = None
    """Code of the cause, if known."""


class IssueReplacementPartShipped(IssueEvent):
    """Part of a replacement was shipped."""

    TYPE: ClassVar = "issue.replacement_part_shipped.v1"

    replacement_id: UUID
    """Replacement order."""
    lines: Lines
    """Units shipped with this parcel."""
    remaining_lines: Lines
    """Units still to be shipped."""
    remaining_ship_date: Day
    """Promised ship date of the remaining units."""
    shipped_at: UtcTime
    """Time of shipment."""
    expected_delivery_date: Day
    """Expected delivery day of this parcel."""
    carrier: str | None = None
    """Carrier, if known."""
    tracking_number: str | None = None
    """Tracking number, if known."""


class IssueReplacementShipped(IssueEvent):
    """All units of a replacement were shipped."""

    TYPE: ClassVar = "issue.replacement_shipped.v1"

    replacement_id: UUID
    """Replacement order."""
    shipped_at: UtcTime
    """Time at which the last parcel was shipped."""
    expected_delivery_date: Day
    """Expected delivery day of the last parcel."""
    carrier: str | None = None
    """Carrier, if known."""
    tracking_number: str | None = None
    """Tracking number, if known."""


class IssueReplacementTracked(IssueEvent):
    """The tracking number of a shipped replacement, or of one parcel of it, became known or changed."""

    TYPE: ClassVar = "issue.replacement_tracked.v1"

    replacement_id: UUID
    """Replacement order."""
    carrier: str | None = None
    """Carrier, if known."""
    tracking_number: str | None = None
    """Tracking number, if known."""
    previous_tracking_number: str | None = None
    """Tracking number announced before, if any."""
    expected_delivery_date: Day
    """Expected delivery day of this parcel."""
    changed_at: UtcTime
    """Time of the change."""


class IssueReplacementDeliveryChanged(IssueEvent):
    """The expected delivery day of a shipped replacement changed."""

    TYPE: ClassVar = "issue.replacement_delivery_changed.v1"

    replacement_id: UUID
    """Replacement order."""
    previous_date: Day
    """Day expected before."""
    expected_delivery_date: Day
    """New expected delivery day."""
    cause: str | None = None
    """Code of the cause, if known."""
    changed_at: UtcTime
    """Time of the change."""


class IssueReplacementDelivered(IssueEvent):
    """A replacement, or part of it, was delivered."""

    TYPE: ClassVar = "issue.replacement_delivered.v1"

    replacement_id: UUID
    """Replacement order."""
    delivered_at: UtcTime
    """Time of delivery."""
    lines: Lines | None = None
    """All units of this issue delivered so far; each can be reported again. Absent: all units."""


class IssueChoiceRequested(IssueEvent):
    """The customer is asked to choose by a signed link. Sent once per choice."""

    TYPE: ClassVar = "issue.choice_requested.v1"

    choice_id: UUID
    """Identity of the question; the answer repeats it."""
    cause: str
    """Code of the cause."""
    options: Annotated[tuple[Choice, ...], Field(min_length=1)]
    """Possible answers."""
    default: Choice
    """Answer that applies when none is given by `due_at`."""
    restock_date: Day | None = None
    """First day of new stock, if known."""
    variants: tuple[Variant, ...] = ()
    """Items that can be sent instead, for the option `change`; the answer names one as `requested_sku`."""
    due_at: UtcTime
    """Deadline of the answer."""
