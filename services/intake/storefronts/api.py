"""Storefront webhooks over HTTP: verify the signature over the raw body, read the content, publish it once.

Answers are 2xx only when the whole content is committed; the sender repeats anything else, which changes nothing.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, SecretStr

from libs.common.events.issues import IssueReported
from libs.common.events.storefront import IssueSubmitted
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.http.standard_webhooks import WrongSignature, check_standard
from libs.common.telemetry.metrics import Count
from services.intake.http.commands import IntakeCommands
from services.intake.store.webhook_events import PublishWebhookEvent, RecordCoveredEvent, WebhookPublisher, read_order
from services.intake.storefronts import shopify, standard
from services.intake.storefronts.signatures import check_shopify
from services.intake.storefronts.webhook_event import WebhookContentError, WebhookEvent

PATHS = ("/v1/webhooks/standard", "/v1/webhooks/shopify")

MAX_BODY_BYTES = 1024 * 1024
"""A large Shopify order has some hundreds of kilobytes."""

_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


class WebhookAnswer(BaseModel):
    """Types of the published events; empty where the webhook contains nothing new."""

    published: list[str]


router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], responses=PROBLEM_RESPONSE)


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The publisher of webhook events, and the secrets that verify their signatures."""

    commands: IntakeCommands
    publisher: WebhookPublisher
    standard_secrets: Sequence[SecretStr]
    shopify_secrets: Sequence[SecretStr]
    received: Count
    """Webhooks by partner and outcome."""

    @contextmanager
    def counted(self, partner: str) -> Iterator[None]:
        """Count one webhook of this partner by its outcome, and turn faults of its content into refusals."""
        outcome = "failed"
        try:
            yield
            outcome = "published"
        except (WrongSignature, WebhookContentError) as error:
            outcome = error.code
            raise _problem(error) from error
        except Problem as problem:
            outcome = problem.code
            raise
        finally:
            self.received.add(partner, outcome)

    async def publish(self, caller: str, events: Sequence[WebhookEvent], fingerprint: bytes = b"") -> JSONResponse:
        service = self.commands.service
        for event in events:
            key = IdempotencyKey(caller, event.idempotency_key, fingerprint)
            if event.unclear and isinstance(event.payload, IssueSubmitted):
                await self.commands.submit_unclear(event.payload, key)
                continue
            command = service.event(PublishWebhookEvent(payload=event.payload))
            answer = await service.execute(self.publisher, command, idempotency=key, answer=lambda _: Answer(202, {}))
            if not answer.replayed:
                await self._record_covered(caller, event)
        types = [IssueReported.TYPE if event.unclear else event.payload.TYPE for event in events]
        return Answer(202, {"published": types}).response()

    async def _record_covered(self, caller: str, event: WebhookEvent) -> None:
        """Record keys of later events as answered. After a crash before this they repeat what is known, no more."""
        for covered in event.covers:
            command = self.commands.service.event(RecordCoveredEvent(order_id=event.payload.subject))
            await self.commands.service.execute(
                self.publisher,
                command,
                idempotency=IdempotencyKey(caller, covered, b""),
                answer=lambda _: Answer(202, {}),
            )

    async def read_shopify(self, topic: str, body: bytes) -> list[WebhookEvent]:
        content, now = standard.parse(body), self.commands.service.clock.now()
        order_id = shopify.order_named_by(topic, content)
        if order_id is None:
            return shopify.read(topic, content, now=now)
        async with self.commands.service.pool.acquire() as conn:
            order = await read_order(conn, order_id)
        if order is None or order.purchase is None:
            raise Problem(404, "unknown_order", f"order.id: {order_id} is not known here; send orders/create first.")
        return shopify.read(topic, content, order.purchase.customer_id, now)


def _webhooks(request: Request) -> Webhooks:
    webhooks: Webhooks = request.app.state.webhooks
    return webhooks


CurrentWebhooks = Annotated[Webhooks, Depends(_webhooks)]


@router.post("/standard", status_code=202, response_model=WebhookAnswer, openapi_extra=_BODY)
async def standard_webhook(request: Request, webhooks: CurrentWebhooks) -> JSONResponse:
    """Take an order event or a report by Standard Webhooks: `type` and `data` are those of our contract."""
    secrets = _configured(webhooks.standard_secrets, "WEBHOOK_SECRETS")
    with webhooks.counted("standard"):
        body = await _raw(request)
        webhook_id = check_standard(secrets, request.headers, body, webhooks.commands.service.clock.now())
        event = standard.read(webhook_id, body)
        return await webhooks.publish("webhooks", [event], hashlib.sha256(body).digest())


@router.post("/shopify", status_code=202, response_model=WebhookAnswer, openapi_extra=_BODY)
async def shopify_webhook(request: Request, webhooks: CurrentWebhooks) -> JSONResponse:
    """Take Shopify's orders (create, updated, edited, cancelled), fulfillments, refunds, merges and return requests."""
    secrets = _configured(webhooks.shopify_secrets, "SHOPIFY_SECRETS")
    with webhooks.counted("shopify"):
        body = await _raw(request)
        check_shopify(secrets, request.headers, body)
        events = await webhooks.read_shopify(request.headers.get("x-shopify-topic", ""), body)
        return await webhooks.publish("shopify", events)


def _configured(secrets: Sequence[SecretStr], setting: str) -> list[str]:
    if not secrets:
        raise Problem(404, "not_configured", f"{setting}: not set, so signatures cannot be verified; set it first.")
    return [secret.get_secret_value() for secret in secrets]


async def _raw(request: Request) -> bytes:
    """Return the raw body, which was signed; half characters and NUL are repaired when it is parsed."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Problem(413, "body_too_large", f"body: {MAX_BODY_BYTES} bytes are the maximum.")
    return bytes(body)


def _problem(error: WrongSignature | WebhookContentError) -> Problem:
    if isinstance(error, WrongSignature):
        return Problem(401, error.code, error.message)
    status = 400 if error.code == "malformed_json" else 422
    errors = [{"field": field, "message": message} for field, message in error.faults]
    return Problem(status, error.code, f"{error.field}: {error}.", field=error.field, errors=errors)
