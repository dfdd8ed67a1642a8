"""Sender of webhooks: a task for each subscription with events to send, so that a slow partner delays no other.

An event is claimed in one transaction, sent outside any, and its result recorded in another. After a crash in between
it is sent again under the same id, by which the receiver drops the repeated one.
"""

import asyncio
import logging
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

from standardwebhooks import Webhook

from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.signal import WakeSignal
from libs.common.runtime.background_loops import cancel
from libs.common.runtime.service import Service
from libs.common.telemetry.metrics import Count
from libs.common.telemetry.trace_context import record_headers
from services.partners.domain.retry_ladder import (
    PROBE_AFTER_FAILURES,
    AttemptResult,
    next_delay,
    quiet_seconds,
)
from services.partners.sending.endpoint import MAX_CONNECTIONS, Endpoint
from services.partners.settings import PartnersSettings
from services.partners.store import deliveries
from services.partners.store.deliveries import ClaimedDelivery
from services.partners.store.feed_reading import StoredEvent
from services.partners.store.subscriptions import read_secrets

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0


def signed_headers(event: StoredEvent, secrets: list[str], now: datetime) -> dict[str, str]:
    """Return the headers of a webhook: its id is that of the event, with a signature by each secret."""
    text = event.value.decode()
    headers = {
        "content-type": "application/cloudevents+json; charset=utf-8",
        "user-agent": "sakidashi-webhooks/1",
        "webhook-id": event.event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(event.event_id, now, text) for secret in secrets),
    }
    trace = record_headers(event.trace) if event.trace else []
    return headers | {name: value.decode() for name, value in trace}


class WebhookSender:
    """Loop that starts a task for each subscription with due events; `sent` counts attempts by partner's outcome."""

    def __init__(self, service: Service, settings: PartnersSettings, sent: Count) -> None:
        self._service, self._settings, self._sent = service, settings, sent
        self._pause_after = timedelta(hours=settings.webhook_pause_after_hours)
        self._wake = WakeSignal()
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Send until cancelled; a webhook that is being sent then is sent again after its lease."""
        self._service.wake_relay.follow(self._wake)
        partners = self._settings.partners.partners  # a partner that was removed from the file is sent nothing
        try:
            while True:
                async with self._service.pool.acquire() as conn:
                    ready = await deliveries.ready_subscriptions(conn, partners)
                for subscription_id in ready:
                    if subscription_id not in self._tasks:
                        task = asyncio.create_task(self._drain(subscription_id), name=f"webhooks of {subscription_id}")
                        self._tasks[subscription_id] = task
                        task.add_done_callback(partial(self._ended, subscription_id))
                await self._wake.wait(POLL_SECONDS)
        finally:
            await cancel(list(self._tasks.values()))

    def _ended(self, subscription_id: UUID, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(subscription_id, None)
        if not task.cancelled() and (error := task.exception()):
            log.error("failed to send webhooks subscription_id=%s", subscription_id, exc_info=error)

    async def _drain(self, subscription_id: UUID) -> None:
        """Send the due events of one subscription until none is left."""
        endpoint: Endpoint | None = None
        try:
            while True:
                async with self._service.pool.acquire() as conn, conn.transaction():
                    target = await deliveries.target_of(conn, subscription_id)
                    if target is None:
                        return
                    url, failures = target
                    limit = 1 if failures >= PROBE_AFTER_FAILURES else MAX_CONNECTIONS
                    claimed = await deliveries.claim(conn, subscription_id, limit)
                    secrets = await read_secrets(conn, subscription_id)
                if not claimed:
                    return
                failpoint("webhooks_claimed")
                if endpoint is None:
                    private, seconds = self._settings.webhook_private_networks, self._settings.webhook_timeout_seconds
                    endpoint = Endpoint(url, private, seconds)
                sending = [self._send(endpoint, subscription_id, each, secrets, failures) for each in claimed]
                for result in await asyncio.gather(*sending, return_exceptions=True):
                    if result is not None:
                        raise result
        finally:
            if endpoint is not None:
                await endpoint.close()

    async def _send(
        self, endpoint: Endpoint, subscription_id: UUID, claimed: ClaimedDelivery, secrets: list[str], failures: int
    ) -> None:
        headers = signed_headers(claimed.event, secrets, datetime.now(UTC))
        result = await endpoint.post(claimed.event.value, headers)
        failpoint("webhook_sent")
        state = await self._record(subscription_id, claimed, result, failures)
        failpoint("webhook_recorded")
        self._sent.add("delivered" if result.is_delivered else "given_up" if state == "failed" else "failed")

    async def _record(
        self, subscription_id: UUID, claimed: ClaimedDelivery, result: AttemptResult, failures: int
    ) -> str:
        jitter = random.random()  # noqa: S311 - spreads load, protects nothing
        delay = next_delay(claimed.attempt, result, jitter)
        quiet = quiet_seconds(failures + 1, jitter)
        async with self._service.pool.acquire() as conn, conn.transaction():
            return await deliveries.record_attempt(
                conn, subscription_id, claimed, result, delay, quiet, self._pause_after
            )
