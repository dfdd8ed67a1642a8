"""Registry of all payload types, and the codec between bytes and typed events."""

import re
from collections.abc import Callable
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from libs.common.events import (
    anomalies,
    carrier,
    change_requests,
    customers,
    issues,
    loyalty,
    messages,
    notices,
    payment,
    products,
    rejections,
    storefront,
    warehouse,
)
from libs.common.events.envelope import Event, Payload
from libs.common.events.faults import faults_of
from libs.common.events.json_text import well_formed

PAYLOADS: tuple[type[Payload], ...] = (
    storefront.OrderPlaced,
    storefront.OrderChanged,
    storefront.OrderPromiseChanged,
    storefront.OrderDelayed,
    storefront.OrderShipped,
    storefront.ShipmentChanged,
    storefront.OrderDelivered,
    storefront.OrderCancelled,
    storefront.OrderRefunded,
    change_requests.OrderChangeAnswered,
    storefront.PreorderProgressed,
    storefront.IssueSubmitted,
    storefront.IssueWithdrawn,
    storefront.CustomerMerged,
    issues.IssueReported,
    issues.IssueAccepted,
    issues.IssueRejected,
    issues.IssueReviewRequested,
    issues.IssueDetailsRequested,
    issues.IssueDetailsProvided,
    issues.IssueStaffDecided,
    warehouse.ReplacementOrdered,
    issues.IssueReplacementOrdered,
    warehouse.ReplacementCancelled,
    warehouse.ReplacementReaddressed,
    warehouse.ItemReturnOrdered,
    warehouse.ReplacementConfirmed,
    issues.IssueReplacementPromised,
    warehouse.ReplacementRejected,
    issues.IssueChoiceRequested,
    warehouse.ReplacementDelayed,
    issues.IssueReplacementDelayed,
    warehouse.ReplacementShipped,
    issues.IssueReplacementPartShipped,
    issues.IssueReplacementShipped,
    warehouse.ReplacementRecalled,
    warehouse.ReplacementShipmentChanged,
    issues.IssueReplacementTracked,
    carrier.CollectionRequested,
    issues.IssueCollectionRequested,
    issues.IssueCollectionWindowChosen,
    carrier.CollectionCancelled,
    carrier.ParcelDelivered,
    issues.IssueReplacementDelivered,
    issues.IssueReplacementDeliveryChanged,
    carrier.ParcelException,
    carrier.ParcelScanned,
    carrier.ParcelFound,
    carrier.CollectionBooked,
    issues.IssueCollectionBooked,
    carrier.CollectionDeclined,
    issues.IssueCollectionWindowDeclined,
    carrier.CollectionAttemptFailed,
    issues.IssueCollectionAttempted,
    issues.IssueCollectionReminded,
    carrier.CollectionCollected,
    issues.IssueCollected,
    warehouse.ItemReceived,
    issues.IssueItemReceived,
    warehouse.ItemInspected,
    issues.IssueItemInspected,
    payment.RefundRequested,
    issues.IssueRefundRequested,
    payment.RefundCompleted,
    issues.IssueRefunded,
    payment.RefundFailed,
    payment.RefundReversed,
    issues.IssueRefundReversed,
    payment.PaymentChargedBack,
    payment.ChargebackReversed,
    issues.IssueResolved,
    issues.IssueRated,
    issues.IssueCustomerWrote,
    messages.MessageReplied,
    issues.IssueReopened,
    issues.IssueCancelled,
    issues.IssueStaffDecisionApplied,
    issues.IssueAnomalyDetected,
    notices.NoticeSent,
    notices.NoticeFailed,
    notices.NoticeSuppressed,
    notices.CustomerDecided,
    change_requests.CustomerDecisionOverdue,
    change_requests.CustomerDecisionSettled,
    loyalty.PointsGranted,
    loyalty.PointsVested,
    loyalty.PointsReversed,
    loyalty.PointsReserved,
    loyalty.PointsReleased,
    loyalty.PointsRedeemed,
    loyalty.PointsExpiring,
    loyalty.PointsExpired,
    loyalty.PointsAdjusted,
    loyalty.PointsWithheld,
    loyalty.TierChanged,
    products.ClusterDetected,
    products.LotHeld,
    products.LotReleased,
    products.BuyerWarned,
    anomalies.AnomalyDetected,
    anomalies.CountStaffDecided,
    anomalies.CountStaffDecisionApplied,
    anomalies.AnomalyCleared,
    customers.CustomerErasureRequested,
    customers.CustomerErased,
    customers.CustomerConsentChanged,
    customers.CustomerConsentRecorded,
    customers.CustomerUnsubscribed,
    rejections.EventRejected,
)

BY_TYPE: dict[str, type[Payload]] = {payload.TYPE: payload for payload in PAYLOADS}

AnyEvent: TypeAlias = Event[Payload]


_OWN_FORM = re.compile(rb'\{"specversion":"1\.0","id":"[^"\\]*","source":"[^"\\]*","type":"([a-z_.]+\.v[0-9]+)"')


class UndecodableError(ValueError):
    """The record is not an event of the contract; the message names the first field and the remedy.

    `faults` holds all of them, by field.
    """

    def __init__(self, message: str, faults: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        field, _, text = message.partition(": ")
        self.faults = faults or ((field, text),)


class UnknownTypeError(UndecodableError):
    """A well-formed CloudEvent of a type that is not in the contract."""


class NewerVersionError(UnknownTypeError):
    """A newer version of a known type; its `v1` is published beside it, so it can be skipped."""


def schema_name(payload: type[Payload]) -> str:
    """Return the `dataschema` of a payload: a URN, because schemas ship with the code."""
    return f"urn:sakidashi:{payload.TYPE}"


@cache
def event_class(payload: type[Payload]) -> type[AnyEvent]:
    """Return the envelope class of one payload type.

    Neither by `create_model` nor from `Event[payload]`: for each class pydantic would read sources in search of
    docstrings that are inherited here, and a second class in between: five times the start-up time of all decoders.
    """
    fields = {"type": Literal[payload.TYPE], "data": payload}
    namespace = {
        "__module__": Event.__module__,
        "__annotations__": fields,
        "type": payload.TYPE,
        "model_config": ConfigDict(use_attribute_docstrings=False),
    }
    metaclass: Any = type(Event)
    return cast(type[AnyEvent], metaclass(f"{payload.__name__}Event", (AnyEvent,), namespace))


@cache
def _decoder() -> Callable[..., AnyEvent]:
    """Return pydantic's own validator of all events: the wrapper in `TypeAdapter` takes a tenth of the time."""
    classes: Any = reduce(or_, (event_class(payload) for payload in PAYLOADS))
    adapter: TypeAdapter[AnyEvent] = TypeAdapter(Annotated[classes, Field(discriminator="type")])
    return adapter.validator.validate_json


def decode(value: bytes | str) -> AnyEvent:
    """Decode a record's value. Raises `UndecodableError`, or `UnknownTypeError` where only the type is unknown.

    Strict mode: otherwise a number would be accepted as a date in 1970.
    """
    text = value.encode(errors="replace") if isinstance(value, str) else value
    try:
        return _decoder()(well_formed(text), strict=True)
    except ValidationError as error:
        raise _reason(error) from error


def peek_type(value: bytes) -> type[Payload] | None:
    """Return the payload class of a record written by `encode`, at a tenth of the cost of decoding; else None.

    Most records of a topic are not for the reading service. Only the exact form that `encode` writes is recognised: a
    partner's JSON may contain `type` elsewhere, too.
    """
    match = _OWN_FORM.match(value)
    return BY_TYPE.get(match[1].decode()) if match else None


def encode(event: AnyEvent) -> bytes:
    """Return the record's value: structured JSON without absent options."""
    return event.__pydantic_serializer__.to_json(event, exclude_none=True)


@cache
def _frame(payload: type[Payload], source: str) -> tuple[bytes, bytes]:
    """Return the constant parts of an envelope: between id and subject, and between time and data."""
    between = f'","source":{to_json(source).decode()},"type":"{payload.TYPE}","subject":'
    name = schema_name(payload)
    return between.encode(), f',"datacontenttype":"application/json","dataschema":"{name}","data":'.encode()


def encode_own(payload: Payload, subject: str, id: str, source: str, time: bytes) -> bytes:
    """Return what `encode` would return for this payload, without creating the envelope object.

    `subject` is the payload's subject, `id` plain ASCII, `time` a time as JSON. The envelope object cost as much as its
    payload.
    """
    between, before_data = _frame(type(payload), source)
    data = payload.__pydantic_serializer__.to_json(payload, exclude_none=True)
    return b"".join((_OPENING, id.encode(), between, to_json(subject), b',"time":', time, before_data, data, b"}"))


_OPENING = b'{"specversion":"1.0","id":"'


def _reason(error: ValidationError) -> UndecodableError:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "union_tag_invalid":
        name = first["ctx"]["tag"]
        base, _, version = name.rpartition(".v")
        if f"{base}.v1" in BY_TYPE and version.isdecimal() and int(version) > 1:
            return NewerVersionError(f"type: {name!r} is newer than this reader")
        return UnknownTypeError(f"type: {name!r} is not in the contract; a known one is {next(iter(BY_TYPE))!r}")
    faults = tuple(faults_of(error, hidden=BY_TYPE))
    field, message = faults[0]
    return UndecodableError(f"{field}: {message} ({len(faults)} fault(s))", faults)
