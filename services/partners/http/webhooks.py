"""Routes for webhook subscriptions, for the partner itself and for ops."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.runtime.dependencies import CurrentService
from libs.common.runtime.service import Service
from services.partners.domain.webhook_urls import url_fault, with_plain_scheme
from services.partners.http.dependencies import ManagedPartner
from services.partners.settings import PartnersSettings
from services.partners.store import deliveries, subscriptions
from services.partners.store.feed_reading import lock_head
from services.partners.store.subscriptions import WebhookSubscription

MAX_SUBSCRIPTIONS, MAX_SPAN = 20, 10_000
"""Subscriptions of a partner, and positions of one resend."""

router = APIRouter(prefix="/v1/partner/{name}/webhooks", tags=["webhooks"], responses=PROBLEM_RESPONSE)

SubscriptionId = Annotated[UUID, Path()]
Position = Annotated[int, Field(ge=1, le=2**62)]


class NewSubscription(BaseModel):
    """A subscription to make. `types` empty: every type that the partner receives.

    `after`: also send the stored events behind this position; without it only new ones are sent.
    """

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    types: Annotated[list[str], Field(max_length=200)] = []
    after: Annotated[int | None, Field(ge=0, le=2**62)] = None


class ShownSubscription(BaseModel):
    """A subscription. `paused`: it failed for long; `disabled`: its URL answered 410. `pending`: events that wait.

    `secrets` is the number of secrets in use; they are shown once, when they are made.
    """

    subscription_id: UUID
    url: str
    types: list[str]
    state: str
    reason: str | None
    failures: int
    failing_since: datetime | None
    created_at: datetime
    secrets: int
    pending: int


class SubscriptionList(BaseModel):
    """The subscriptions of a partner."""

    subscriptions: list[ShownSubscription]


class NewSecret(BaseModel):
    """A secret for verifying signatures, shown this once. Every webhook is signed with it from now on."""

    subscription_id: UUID
    secret: str


class DeletedSubscription(BaseModel):
    """Id of a subscription that no longer exists."""

    subscription_id: UUID


class RemainingSecrets(BaseModel):
    """Number of deleted secrets."""

    deleted: int


class LoggedAttempt(BaseModel):
    """One attempt: `status` of the answer, or `error` without one; `excerpt` is the beginning of the answer."""

    attempt_id: int
    position: int
    event_id: str
    type: str
    attempt: int
    attempted_at: datetime
    seconds: float
    status: int | None
    error: str | None
    excerpt: str | None


class DeliveryLog(BaseModel):
    """Attempts, the newest first; `next` is the value of `before` for older ones."""

    attempts: list[LoggedAttempt]
    next: int | None


class Resend(BaseModel):
    """Positions whose events are sent again, both inclusive."""

    model_config = ConfigDict(extra="forbid")

    first: Position
    last: Position


class Resent(BaseModel):
    """Number of events that are sent again."""

    resent: int


@router.post("", status_code=201)
async def create_webhook(
    request: Request, body: NewSubscription, partner: ManagedPartner, service: CurrentService
) -> NewSecret:
    """Make a subscription and return its secret, this once. One for each URL: a repeated call is answered 409."""
    settings = service.settings
    assert isinstance(settings, PartnersSettings)
    url = with_plain_scheme(body.url)
    if fault := url_fault(url, bool(settings.webhook_private_networks)):
        raise Problem(422, "invalid_url", f"url: {fault}.", field="url")
    if foreign := sorted(set(body.types) - partner.terms.may_receive):
        raise Problem(422, "unknown_type", f"types: {', '.join(foreign)[:500]} not received by {partner.name}; remove.")
    async with service.pool.acquire() as conn, conn.transaction():
        await lock_head(conn)  # before they are counted: calls at the same time would all find room
        if len(await subscriptions.list_subscriptions(conn, partner.name)) >= MAX_SUBSCRIPTIONS:
            raise Problem(409, "too_many_subscriptions", f"url: {MAX_SUBSCRIPTIONS} are the maximum; delete one first.")
        created = await subscriptions.create_subscription(conn, partner.name, url, body.types, body.after)
    if created is None:
        raise Problem(409, "subscription_exists", "url: has a subscription; list them, or delete that one first.")
    service.wake_relay()
    return NewSecret(subscription_id=created[0], secret=created[1])


@router.get("")
async def list_webhooks(partner: ManagedPartner, service: CurrentService) -> SubscriptionList:
    """List the subscriptions of a partner, without their secrets."""
    async with service.pool.acquire() as conn:
        found = await subscriptions.list_subscriptions(conn, partner.name)
    return SubscriptionList(subscriptions=[_shown(each) for each in found])


@router.delete("/{subscription_id}")
async def delete_webhook(
    subscription_id: SubscriptionId, partner: ManagedPartner, service: CurrentService
) -> DeletedSubscription:
    """Delete a subscription with its secrets, waiting events and log."""
    async with service.pool.acquire() as conn:
        if not await subscriptions.delete_subscription(conn, partner.name, subscription_id):
            raise _unknown()
    return DeletedSubscription(subscription_id=subscription_id)


@router.post("/{subscription_id}/secrets", status_code=201)
async def rotate_webhook_secret(
    subscription_id: SubscriptionId, partner: ManagedPartner, service: CurrentService
) -> NewSecret:
    """Make a new secret and return it, this once. Webhooks are signed with it and with the one before."""
    await _find(service, partner.name, subscription_id)
    async with service.pool.acquire() as conn, conn.transaction():
        secret = await subscriptions.add_secret(conn, subscription_id)
    return NewSecret(subscription_id=subscription_id, secret=secret)


@router.delete("/{subscription_id}/secrets/old")
async def drop_old_webhook_secrets(
    subscription_id: SubscriptionId, partner: ManagedPartner, service: CurrentService
) -> RemainingSecrets:
    """Delete the secret before the newest, once the receiver verifies with the newest."""
    await _find(service, partner.name, subscription_id)
    async with service.pool.acquire() as conn:
        return RemainingSecrets(deleted=await subscriptions.drop_old_secrets(conn, subscription_id))


@router.post("/{subscription_id}/resume")
async def resume_webhook(
    subscription_id: SubscriptionId, partner: ManagedPartner, service: CurrentService
) -> ShownSubscription:
    """Make a paused or disabled subscription active again, and send the events that waited, in order."""
    async with service.pool.acquire() as conn, conn.transaction():
        if not await subscriptions.resume_subscription(conn, partner.name, subscription_id):
            raise _unknown()
    service.wake_relay()
    return _shown(await _find(service, partner.name, subscription_id))


@router.get("/{subscription_id}/attempts")
async def webhook_attempts(
    subscription_id: SubscriptionId,
    partner: ManagedPartner,
    service: CurrentService,
    before: Annotated[int, Query(ge=1, le=2**62, description="`next` of the page before.")] = 2**62,
    limit: Annotated[int, Query(ge=1, le=200, description="Attempts at most.")] = 50,
) -> DeliveryLog:
    """Show the attempts to send webhooks with their answers, the newest first."""
    await _find(service, partner.name, subscription_id)
    async with service.pool.acquire() as conn:
        found = await deliveries.list_attempts(conn, subscription_id, before, limit + 1)
    page = [LoggedAttempt.model_validate(dict[str, Any](each)) for each in found[:limit]]
    return DeliveryLog(attempts=page, next=page[-1].attempt_id if len(found) > limit else None)


@router.post("/{subscription_id}/resend")
async def resend_webhooks(
    subscription_id: SubscriptionId, body: Resend, partner: ManagedPartner, service: CurrentService
) -> Resent:
    """Send the events of one position, or of a span of them, again under their ids."""
    await _find(service, partner.name, subscription_id)
    if not 0 <= body.last - body.first < MAX_SPAN:
        raise Problem(422, "invalid_span", f"last: before first, or over {MAX_SPAN} positions; send a shorter span.")
    async with service.pool.acquire() as conn, conn.transaction():
        count = await deliveries.resend(conn, subscription_id, body.first, body.last)
    service.wake_relay()
    return Resent(resent=count)


async def _find(service: Service, partner: str, subscription_id: UUID) -> WebhookSubscription:
    """Return a subscription of this partner. Raises `Problem` 404."""
    async with service.pool.acquire() as conn:
        found = await subscriptions.find_subscription(conn, partner, subscription_id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> Problem:
    return Problem(404, "unknown_subscription", "subscription_id: not known; list the subscriptions of the partner.")


def _shown(found: WebhookSubscription) -> ShownSubscription:
    return ShownSubscription.model_validate(asdict(found))
