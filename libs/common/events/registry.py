"""All payloads of the contract, in flow order, and the decoder from bytes to a typed event."""

import re
from functools import cache, reduce
from operator import or_
from typing import Annotated, Any, Literal, TypeAlias, cast

from pydantic import Field, TypeAdapter, ValidationError, create_model
from pydantic_core import to_json

from libs.common.events import carrier, customers, issues, loyalty, notices, payment, products, storefront, warehouse
from libs.common.events.envelope import Event, Payload

PAYLOADS: tuple[type[Payload], ...] = (
    storefront.OrderPlaced,
    storefront.OrderPromiseChanged,
    storefront.OrderDelayed,
    storefront.OrderShipped,
    storefront.OrderDelivered,
    storefront.OrderCancelled,
    storefront.PreorderProgressed,
    storefront.IssueSubmitted,
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
    warehouse.ReplacementConfirmed,
    issues.IssueReplacementPromised,
    warehouse.ReplacementRejected,
    issues.IssueChoiceRequested,
    warehouse.ReplacementDelayed,
    issues.IssueReplacementDelayed,
    warehouse.ReplacementShipped,
    issues.IssueReplacementPartShipped,
    issues.IssueReplacementShipped,
    carrier.CollectionRequested,
    issues.IssueCollectionRequested,
    issues.IssueCollectionWindowChosen,
    carrier.CollectionCancelled,
    carrier.ParcelDelivered,
    issues.IssueReplacementDelivered,
    carrier.ParcelException,
    carrier.ParcelScanned,
    carrier.ParcelFound,
    carrier.CollectionBooked,
    issues.IssueCollectionBooked,
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
    issues.IssueResolved,
    issues.IssueRated,
    issues.IssueReopened,
    issues.IssueCancelled,
    issues.IssueStaffDecisionApplied,
    notices.NoticeSent,
    notices.NoticeFailed,
    notices.NoticeSuppressed,
    notices.CustomerDecided,
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
    customers.CustomerErasureRequested,
    customers.CustomerErased,
)

BY_TYPE: dict[str, type[Payload]] = {payload.TYPE: payload for payload in PAYLOADS}

AnyEvent: TypeAlias = Event[Payload]


_OWN_SPELLING = re.compile(rb'\{"specversion":"1\.0","id":"[^"\\]*","source":"[^"\\]*","type":"([a-z_.]+\.v[0-9]+)"')


class UndecodableError(ValueError):
    """The record is not an event of the contract; the message names the field and what would be right."""


class UnknownTypeError(UndecodableError):
    """A well-formed CloudEvent whose type the contract does not know."""


class NewerVersionError(UnknownTypeError):
    """A newer version of a type that the contract knows; its `v1` travels beside it, so it may be passed over."""


def schema_name(payload: type[Payload]) -> str:
    """The `dataschema` of a payload: a name, not an address, since schemas ship with the code."""
    return f"urn:sakidashi:{payload.TYPE}"


@cache
def event_class(payload: type[Payload]) -> type[AnyEvent]:
    """The envelope of one payload, its `type` fixed."""
    fixed: Any = Literal[payload.TYPE]
    envelope: Any = Event.__class_getitem__(payload)
    model: Any = create_model(f"{payload.__name__}Event", __base__=envelope, type=(fixed, payload.TYPE))
    return cast(type[AnyEvent], model)


@cache
def _decoder() -> TypeAdapter[AnyEvent]:
    classes: Any = reduce(or_, (event_class(payload) for payload in PAYLOADS))
    return TypeAdapter(Annotated[classes, Field(discriminator="type")])


def decode(value: bytes | str) -> AnyEvent:
    """Read one record's value. Raises `UndecodableError`, or `UnknownTypeError` where only the type is foreign.

    Strict: what the schema does not promise is not guessed at. Else a number would pass for a date, in 1970.
    """
    text = value.encode() if isinstance(value, str) else value
    if b"\\u0000" in text:
        raise UndecodableError("record: leave out the character NUL (\\u0000), which no text in Postgres can hold")
    try:
        return _decoder().validate_json(value, strict=True)
    except ValidationError as error:
        raise _reason(error) from error


def peek_type(value: bytes) -> type[Payload] | None:
    """The payload class of a record as our own `encode` writes it, at a tenth of the cost of reading it; else None.

    Most records of a topic pass a service by. Only our own exact spelling is trusted: a partner's JSON may hold a
    `type` in other places too, and is read whole.
    """
    match = _OWN_SPELLING.match(value)
    return BY_TYPE.get(match[1].decode()) if match else None


def encode(event: AnyEvent) -> bytes:
    """The record's value: structured JSON, absent options left out."""
    return event.__pydantic_serializer__.to_json(event, exclude_none=True)


@cache
def _frame(payload: type[Payload], source: str) -> tuple[bytes, bytes]:
    """What stands between the id and the subject, and between the time and the data, of every such event."""
    between = f'","source":{to_json(source).decode()},"type":"{payload.TYPE}","subject":'
    name = schema_name(payload)
    return between.encode(), f',"datacontenttype":"application/json","dataschema":"{name}","data":'.encode()


def encode_own(payload: Payload, key: str, id: str, source: str, time: bytes) -> bytes:
    """What `encode` makes of this payload in an envelope of our own, without making the envelope.

    `key` is the payload's own, `id` is plain ASCII, `time` the moment as JSON. A service writes a dozen events an
    issue; the object around each cost as much as all that is in it.
    """
    between, before_data = _frame(type(payload), source)
    data = payload.__pydantic_serializer__.to_json(payload, exclude_none=True)
    return b"".join((_OPENING, id.encode(), between, to_json(key), b',"time":', time, before_data, data, b"}"))


_OPENING = b'{"specversion":"1.0","id":"'


def _reason(error: ValidationError) -> UndecodableError:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "union_tag_invalid":
        name = first["ctx"]["tag"]
        base, _, version = name.rpartition(".v")
        if f"{base}.v1" in BY_TYPE and version.isdecimal() and int(version) > 1:
            return NewerVersionError(f"type: {name!r} is newer than this reader")
        return UnknownTypeError(f"type: {name!r} is not in the contract; known are e.g. {next(iter(BY_TYPE))!r}")
    where = ".".join(str(part) for part in first["loc"] if not (isinstance(part, str) and part in BY_TYPE))
    remedy = _NO_ESTIMATES if first["type"].startswith("date_") else ""
    return UndecodableError(f"{where or 'record'}: {first['msg']}{remedy} ({error.error_count()} fault(s))")


_NO_ESTIMATES = "; write one definite day, as 2027-03-12: an estimate ('late March') is no promise"
