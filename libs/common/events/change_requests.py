"""Requests of customers to cancel or change an order: the storefront's answers, missed deadlines, and outcomes.

A request is a `customer.decided` about an order with `answer_by`. No names and no addresses (invariant 12).
"""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.notices import ChangeSubject
from libs.common.events.storefront import StorefrontOrderEvent
from libs.common.events.values import Choice, Day, Identifier, OptionalText, UtcTime
from libs.common.events.values.open_enums import Open


class ChangeAnswer(StrEnum):
    """Answer of the shop to a customer's request."""

    ACCEPTED = "accepted"
    DECLINED = "declined"


class OrderChangeAnswered(StorefrontOrderEvent):
    """The shop answers a request of a customer (`customer.decided` with `answer_by`) to cancel or change an order.

    Of two answers to one request the newer by `answered_at` counts. `order.cancelled` accepts a cancellation as well.
    """

    TYPE: ClassVar = "order.change_answered.v1"

    request_id: UUID
    """Request: the `choice_id` of `customer.decided`."""
    answer: ChangeAnswer
    """Answer; `accepted` only once the shop has carried the request out, or is certain to."""
    reason: OptionalText = None
    """Code of the reason, such as `out_of_stock`, `already_packed` or `not_possible`."""
    promised_ship_date: Day | None = None
    """Ship date after this answer, if it changes it."""
    answered_at: UtcTime
    """Time of the answer, by the shop's clock."""


class SettledAs(StrEnum):
    """Outcome of a customer's request to cancel or change an order: accepted or declined by the shop, overtaken by the
    shipment, or superseded by a newer request."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    OVERTAKEN = "overtaken"
    SUPERSEDED = "superseded"


class ChangeRequestEvent(Payload):
    """Base of the events of a request: a decision of a customer that the storefront has to answer."""

    TOPIC = topics.NOTICES

    order_id: Identifier
    """Order."""
    customer_id: Identifier
    """Customer."""
    choice_id: UUID
    """Request, as in `customer.decided`."""
    choice: Choice
    """Requested: `cancel` or `change`."""
    change: ChangeSubject | None = None
    """Subject of the requested change."""


class CustomerDecisionOverdue(ChangeRequestEvent):
    """The storefront did not answer a customer's request in time. Staff were notified."""

    TYPE: ClassVar = "customer.decision_overdue.v1"

    reminder: Annotated[int, Field(ge=1)]
    """Number of the missed deadline of this request, from 1."""
    answer_by: UtcTime
    """Next deadline."""
    overdue_at: UtcTime
    """Time of the missed deadline."""


class CustomerDecisionSettled(ChangeRequestEvent):
    """A customer's request has an outcome, of which the customer is notified; a later answer may give another one."""

    TYPE: ClassVar = "customer.decision_settled.v1"

    outcome: Annotated[SettledAs, Open()]
    """Outcome."""
    cause: str | None = None
    """Code of the cause, if known."""
    settled_at: UtcTime
    """Time of the outcome."""
