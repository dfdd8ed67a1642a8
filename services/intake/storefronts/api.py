"""Webhooks of storefronts over HTTP: signature first, over the raw body; then content; then published, once.

Answers are 2xx only when all that the webhook told is committed; the sender repeats anything else, which is harmless.
"""

import hashlib
from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, SecretStr

from libs.common.events.issues import IssueReported
from libs.common.events.storefront import IssueSubmitted
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import PROBLEM_RESPONSE, Answer, Problem
from libs.common.http.standard_webhooks import WrongSignature, check_standard
from services.intake.http.commands import IntakeCommands
from services.intake.store.webhook_events import Publishing, StorefrontTold, customer_of
from services.intake.storefronts import shopify, standard
from services.intake.storefronts.signatures import check_shopify
from services.intake.storefronts.webhook_event import Told, WrongContent

PATHS = ("/v1/webhooks/standard", "/v1/webhooks/shopify")

MOST_BYTES = 1024 * 1024
"""A large order of Shopify's has some hundreds of kilobytes."""

_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}


class Published(BaseModel):
    """The types of the facts that went on to the topics; empty where the webhook told nothing new."""

    told: list[str]


def storefronts(
    calls: IntakeCommands, standard_secrets: Sequence[SecretStr], shopify_secrets: Sequence[SecretStr]
) -> APIRouter:
    service, publishing = calls.service, Publishing()
    service.consume(publishing)
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], responses=PROBLEM_RESPONSE)

    @router.post("/standard", status_code=202, response_model=Published, openapi_extra=_BODY)
    async def standard_webhook(request: Request) -> JSONResponse:
        """An order event or a report by Standard Webhooks: `type` and `data` are those of our contract."""
        secrets = _set_up(standard_secrets, "WEBHOOK_SECRETS")
        body = await _raw(request)
        try:
            webhook_id = check_standard(secrets, request.headers, body, service.clock.now())
            told = standard.read(webhook_id, body)
        except (WrongSignature, WrongContent) as error:
            raise _problem(error) from error
        return await publish("webhooks", [told], hashlib.sha256(body).digest())

    @router.post("/shopify", status_code=202, response_model=Published, openapi_extra=_BODY)
    async def shopify_webhook(request: Request) -> JSONResponse:
        """Shopify's orders/create, orders/cancelled, fulfillments/create and /update, and returns/request."""
        secrets = _set_up(shopify_secrets, "SHOPIFY_SECRETS")
        body = await _raw(request)
        try:
            check_shopify(secrets, request.headers, body)
            told = await read_shopify(request.headers.get("x-shopify-topic", ""), body)
        except (WrongSignature, WrongContent) as error:
            raise _problem(error) from error
        return await publish("shopify", told)

    async def read_shopify(topic: str, body: bytes) -> list[Told]:
        said = standard.parse(body)
        if topic.lower() != "returns/request":
            return shopify.read(topic, said)
        order_id = shopify.order_of_return(said)
        async with service.pool.acquire() as conn:
            customer_id = await customer_of(conn, order_id)
        if customer_id is None:
            raise Problem(404, "unknown_order", f"order.id: {order_id} is not known here; send orders/create first.")
        return shopify.read(topic, said, customer_id)

    async def publish(caller: str, told: Sequence[Told], fingerprint: bytes = b"") -> JSONResponse:
        for one in told:
            key = IdempotencyKey(caller, one.name, fingerprint)
            if one.unclear and isinstance(one.fact, IssueSubmitted):
                await calls.review(one.fact, key)
                continue
            event = service.event(StorefrontTold(fact=one.fact))
            await service.execute(publishing, event, idempotency=key, answer=lambda _: Answer(202, {}))
        return Answer(202, {"told": [IssueReported.TYPE if one.unclear else one.fact.TYPE for one in told]}).response()

    return router


def _set_up(secrets: Sequence[SecretStr], setting: str) -> list[str]:
    if not secrets:
        raise Problem(404, "not_set_up", f"{setting}: not set, so nothing can be verified; set it first.")
    return [secret.get_secret_value() for secret in secrets]


async def _raw(request: Request) -> bytes:
    """The body as it came: what was signed. The character NUL is refused, since no text in Postgres can hold it."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            raise Problem(413, "body_too_large", f"body: {MOST_BYTES} bytes are the most.")
    if b"\\u0000" in body or b"\x00" in body:
        raise Problem(422, "nul_character", "body: leave out the character NUL (\\u0000).")
    return bytes(body)


def _problem(error: WrongSignature | WrongContent) -> Problem:
    if isinstance(error, WrongSignature):
        return Problem(401, error.code, error.message)
    status = 400 if error.code == "malformed_json" else 422
    return Problem(status, error.code, f"{error.field}: {error}.", field=error.field)
