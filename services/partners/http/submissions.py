"""Route for events that a partner sends: `POST /v1/partner/{name}/events`."""

import asyncio
import json
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from libs.common.events.json_text import well_formed
from libs.common.events.registry import UndecodableError, decode
from libs.common.http.body_limit import BODY_SECONDS
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.runtime.dependencies import CurrentService
from libs.common.runtime.service import ServiceTransaction
from libs.common.telemetry.metrics import Count
from libs.common.telemetry.trace_context import REQUEST_TRACE, Carrier, carrier_of
from services.partners.domain.admission import type_fault
from services.partners.http.dependencies import CallingPartner, CurrentPartner
from services.partners.store.received import Receipt, SubmittedEvent, receive

PATH = "/v1/partner/{name}/events"
MAX_EVENTS, MAX_BODY_BYTES = 200, 512 * 1024
"""Events and bytes of one call."""

_EVENT = {"type": "object", "description": "A CloudEvent in structured JSON, as on Kafka."}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/cloudevents+json": {"schema": _EVENT},
            "application/cloudevents-batch+json": {"schema": {"type": "array", "items": _EVENT}},
            "application/json": {"schema": {"anyOf": [_EVENT, {"type": "array", "items": _EVENT}]}},
        },
    }
}

router = APIRouter(tags=["events"], responses=PROBLEM_RESPONSE)


class EventFault(BaseModel):
    """One fault of a refused event: path of the field, and what would be right."""

    field: str
    message: str


class EventResult(BaseModel):
    """Outcome of one event. `index` is its place in the batch, `id` that of the event where it can be read.

    `accepted`: it is committed and will be published. `duplicate`: it was accepted before. `refused`: `errors` has all
    faults; correct it and send it under a new id.
    """

    index: int
    id: str | None
    status: Literal["accepted", "duplicate", "refused"]
    errors: list[EventFault]


class SubmissionAnswer(BaseModel):
    """Outcomes in the order of the batch."""

    results: list[EventResult]


@router.post(
    PATH,
    status_code=202,
    response_model=SubmissionAnswer,
    responses={207: {"model": SubmissionAnswer, "description": "some events were refused"}},
    openapi_extra=_BODY,
)
async def submit_events(request: Request, partner: CurrentPartner, service: CurrentService) -> JSONResponse:
    """Take one event or a batch. Events are idempotent by `source` and `id`: repeat a call that got no answer.

    Answers 202 if every event is accepted or a duplicate, 207 if some are refused, and 422 if all are.
    """
    items = _items(await _read_body(request))
    submitted: list[SubmittedEvent] = []
    refused: list[Receipt] = []
    for index, item in enumerate(items):
        read = _read_event(index, item, partner, request)
        if isinstance(read, SubmittedEvent):
            submitted.append(read)
        else:
            refused.append(read)

    async def work(tx: ServiceTransaction) -> list[Receipt]:
        return await receive(tx, partner.name, partner.terms, submitted)

    receipts = [*refused, *(await service.transact(work) if submitted else ())]
    counter: Count = request.app.state.received_events
    for each in receipts:
        counter.add(partner.name, each.status)
    return _answer(items, sorted(receipts, key=lambda each: each.index)).response()


def _answer(items: list[Any], receipts: list[Receipt]) -> Answer:
    results = [
        {
            "index": each.index,
            "id": _id_of(items[each.index]),
            "status": each.status,
            "errors": [{"field": field, "message": message} for field, message in each.faults],
        }
        for each in receipts
    ]
    refused = [each for each in receipts if each.status == "refused"]
    if receipts and len(refused) == len(receipts):
        field, message = refused[0].faults[0]
        problem = Problem(422, "events_refused", f"{field}: {message}.", results=results)
        return problem.answer()
    return Answer(207 if refused else 202, {"results": results})


def _read_event(index: int, item: Any, partner: CallingPartner, request: Request) -> SubmittedEvent | Receipt:
    if not isinstance(item, dict):
        return Receipt(index, "refused", (("event", "is not a JSON object; send a CloudEvent"),))
    type_ = item.get("type")
    if isinstance(type_, str) and (fault := type_fault(type_, partner.terms)):
        return Receipt(index, "refused", (fault,))
    try:
        event = decode(to_json(item))
    except UndecodableError as error:
        return Receipt(index, "refused", error.faults)
    except (PydanticSerializationError, RecursionError, ValueError):  # deeper than the serializer goes
        fault = ("event", "is nested too deeply; send the fields of its event type only")
        return Receipt(index, "refused", (fault,))
    return SubmittedEvent(index, event, _trace_of(item, request))


def _trace_of(item: dict[str, Any], request: Request) -> Carrier | None:
    """Return the trace of an event: its `traceparent` attribute, else that of the call."""
    own = {name: value for name in ("traceparent", "tracestate") if isinstance(value := item.get(name), str)}
    return carrier_of(own) or request.scope.get(REQUEST_TRACE) or carrier_of(request.headers)


def _id_of(item: Any) -> str | None:
    value = item.get("id") if isinstance(item, dict) else None
    return value[:200] if isinstance(value, str) else None


def _items(body: bytes) -> list[Any]:
    """Return the events of a body. Raises `Problem` 400 or 413."""
    try:
        found = json.loads(well_formed(body), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise Problem(400, "malformed_json", "body: not JSON; send a CloudEvent or an array of them.") from None
    items: list[Any] = found if isinstance(found, list) else [found]
    if not items:
        raise Problem(422, "no_events", "body: an empty array; send at least one event.")
    if len(items) > MAX_EVENTS:
        raise Problem(413, "too_many_events", f"body: {len(items)} events; send at most {MAX_EVENTS} in a call.")
    return items


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


async def _read_body(request: Request) -> bytes:
    """Return the body. Raises `Problem` 408 or 413: the common limit is meant for a single command."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    detail = f"body: {MAX_BODY_BYTES} bytes are the maximum; send fewer events."
                    raise Problem(413, "body_too_large", detail)
    except TimeoutError:
        raise Problem(408, "too_slow", f"body: not complete within {BODY_SECONDS:g} s; send it again.") from None
    return bytes(body)
