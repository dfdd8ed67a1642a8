"""Inbound leg of an issue: collection, receipt and inspection of returned units."""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events.issues.base import IssueEvent
from libs.common.events.storefront import Lines
from libs.common.events.values import (
    Day,
    InspectedLine,
    ReceivedLine,
    TimeWindow,
    UtcTime,
)


class IssueCollectionRequested(IssueEvent):
    """A collection was requested from the courier."""

    TYPE: ClassVar = "issue.collection_requested.v1"

    collection_id: UUID
    """Collection."""
    earliest_date: Day
    """First day on which the courier may come."""
    swap: bool = False
    """True if the courier who delivers the replacement takes the old item along."""
    window: TimeWindow | None = None
    """Time window chosen by the customer, if any."""
    visit_id: UUID | None = None
    """Visit; issues with the same id are collected on one visit."""
    attempt: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Number of this request, from 1."""
    requested_at: UtcTime
    """Time of the request."""


class IssueCollectionWindowChosen(IssueEvent):
    """The customer chose or changed the time window of the collection."""

    TYPE: ClassVar = "issue.collection_window_chosen.v1"

    window: TimeWindow
    """Chosen time window."""
    chosen_at: UtcTime
    """Time of the choice."""


class IssueCollectionBooked(IssueEvent):
    """The courier booked the collection."""

    TYPE: ClassVar = "issue.collection_booked.v1"

    collection_id: UUID
    """Collection."""
    window: TimeWindow
    """Booked time window."""
    attempt: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Number of the request that this answers, from 1."""


class WindowDeclinedBy(StrEnum):
    """Cause for which the courier does not come in a window that the customer chose, or was notified of."""

    NO_ANSWER = "no_answer"
    COURIER = "courier"
    TOO_EARLY = "too_early"
    MOVED = "moved"
    NOT_NEEDED = "not_needed"


class IssueCollectionWindowDeclined(IssueEvent):
    """The courier does not come in the window that the customer chose, or on the day that was booked."""

    TYPE: ClassVar = "issue.collection_window_declined.v1"

    day: Day
    """Day on which the courier does not come."""
    window: TimeWindow | None = None
    """Chosen window, if the customer chose one."""
    cause: WindowDeclinedBy
    """Cause; `not_needed` if nothing is to be collected."""
    next_date: Day | None = None
    """Day requested from the courier instead; absent if staff has to arrange it, or nothing is to be collected."""
    declined_at: UtcTime
    """Time of the decision."""


class IssueCollectionAttempted(IssueEvent):
    """The courier came and could not collect the item."""

    TYPE: ClassVar = "issue.collection_attempted.v1"

    collection_id: UUID
    """Collection."""
    cause: str
    """Code of the cause."""
    attempt: Annotated[int, Field(ge=1, le=1_000)]
    """Number of the failed attempt, from 1."""
    attempted_at: UtcTime
    """Time of the attempt."""
    next_date: Day | None = None
    """Day of the next attempt; absent if staff has to arrange it."""


class IssueCollectionReminded(IssueEvent):
    """The customer is reminded to return the item after the replacement was delivered. Nothing is ever charged."""

    TYPE: ClassVar = "issue.collection_reminded.v1"

    reminder: Annotated[int, Field(ge=1)]
    """Number of this reminder, from 1."""
    next_date: Day
    """Day on which the courier comes unless the customer chooses another window."""
    due_on: Day
    """Day on which staff takes over."""
    reminded_at: UtcTime
    """Time of the reminder."""


class IssueCollected(IssueEvent):
    """The courier collected the item, or part of it."""

    TYPE: ClassVar = "issue.collected.v1"

    collection_id: UUID
    """Collection."""
    collected_at: UtcTime
    """Time of collection."""
    lines: Lines | None = None
    """Collected units; absent: all of the collection."""


class IssueItemReceived(IssueEvent):
    """The warehouse received returned units."""

    TYPE: ClassVar = "issue.item_received.v1"

    lines: Annotated[tuple[ReceivedLine, ...], Field(min_length=1)]
    """Counted units."""
    received_at: UtcTime
    """Time of receipt."""
    replacement_id: UUID | None = None
    """Replacement, if its units came back and not the reported ones."""


class IssueItemInspected(IssueEvent):
    """The warehouse inspected returned units."""

    TYPE: ClassVar = "issue.item_inspected.v1"

    lines: Annotated[tuple[InspectedLine, ...], Field(min_length=1)]
    """Inspected units by condition."""
    inspected_at: UtcTime
    """Time of inspection."""
