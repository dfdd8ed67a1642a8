"""Findings of the reconciliation, and the events that repair them."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent, event_class, schema_name
from libs.common.events.sources import service_source


class DiscrepancyKind(StrEnum):
    """Kind of difference between the services."""

    CASE_MISSING = "case_missing"
    ISSUE_MISSING = "issue_missing"
    EVENT_UNREAD = "event_unread"
    EVENT_UNPUBLISHED = "event_unpublished"
    REPLACEMENT_WITHOUT_CAUSE = "replacement_without_cause"
    REFUND_WITHOUT_CAUSE = "refund_without_cause"
    GRANT_MISSING = "grant_missing"
    GRANT_WITHOUT_CAUSE = "grant_without_cause"
    GRANT_NOT_REVERSED = "grant_not_reversed"
    PROMISE_UNANNOUNCED = "promise_unannounced"
    STATUS_DIFFERS = "status_differs"


@dataclass(frozen=True, slots=True)
class Republication:
    """An event that its author publishes again: under its own id, or under one derived from its business ids.

    Without an event it is the acceptance of the issue, which is rebuilt when it is published.
    """

    author: str
    issue_id: UUID
    event: AnyEvent | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.author, self.event.id if self.event else f"acceptance of {self.issue_id}"

    @property
    def type(self) -> str:
        return (self.event.type if self.event else "issue.accepted.v1").rpartition(".v")[0]


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """One difference. `needs_second_look`: its time is not known exactly, so that it may be in transit.

    `remedy` is what an operator does where nothing can be published again.
    """

    kind: DiscrepancyKind
    issue_id: UUID | None
    order_id: str
    since: datetime
    detail: str
    redrive: Republication | None = None
    remedy: str = ""
    needs_second_look: bool = field(default=False, compare=False)

    @property
    def identity(self) -> tuple[str, str, str, str]:
        return self.kind.value, str(self.issue_id or ""), self.order_id, self.detail

    @property
    def repair(self) -> str:
        return f"--redrive: {self.redrive.author} publishes {self.redrive.type} again" if self.redrive else self.remedy

    def as_dict(self) -> dict[str, str | bool | None]:
        return {
            "kind": self.kind.value,
            "issue_id": str(self.issue_id) if self.issue_id else None,
            "order_id": self.order_id,
            "since": self.since.isoformat(),
            "detail": self.detail,
            "redrive": self.redrive is not None,
            "repair": self.repair,
        }


def rebuilt(author: str, issue_id: UUID, payload: Payload, at: datetime, *business_key: object) -> Republication:
    """Return the publication of an event that no archive holds; repeated, it has the same id."""
    event = event_class(type(payload)).model_construct(
        id=str(derived_id("republished", payload.TYPE, *business_key)),
        source=service_source(author, payload.TOPIC),
        type=payload.TYPE,
        subject=payload.subject,
        time=at,
        dataschema=schema_name(type(payload)),
        data=payload,
    )
    return Republication(author, issue_id, event)
