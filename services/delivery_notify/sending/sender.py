"""Sender loop: claims due notices, sends them outside any transaction, records the results in one transaction.

The idempotency key of a message is derived from its notice, and route and group are stored before sending: after a
crash between sending and recording, the repeated message has the same route and the same `Message-ID` or key, so that
the provider or the mail program drops the duplicate. A claimed notice is leased (wall clock) until its result is
recorded; sending and recording end before the lease, and the result of a lost lease counts only if it was sent. An
error never ends the loop: an unreadable notice fails by itself, an unavailable database or server is retried.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import time_ns

from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.pool import is_transient
from libs.common.runtime.service import Service
from libs.common.telemetry import log_context
from services.delivery_notify.channels.channel import Channel, EncodedMessage, SendOutcome, SendStatus
from services.delivery_notify.domain.loyalty_news import ADVERTISING
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.sending import delivery_outcomes
from services.delivery_notify.sending.circuit_breaker import CircuitBreaker
from services.delivery_notify.sending.messages import OutgoingMessage, SendPlan
from services.delivery_notify.sending.planning import ContactPolicy, SendPlanner, started
from services.delivery_notify.sending.retry_policy import SendAttempt
from services.delivery_notify.store import notice_queue
from services.delivery_notify.store.conversations import parse_facts
from services.delivery_notify.store.notice_queue import ClaimedNotice
from services.delivery_notify.store.purchases import with_purchases

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=6)
SEND_TIME_LIMIT = 120.0
"""No message starts later than this after the claim; with `DELIVERY_TIMEOUT_SECONDS` and recording below the lease."""

BATCH_SIZE = 500
RECORD_TIME_LIMIT = 120.0
SHUTDOWN_TIME_LIMIT = 20.0

MessageOutcome = tuple[OutgoingMessage, SendOutcome]


class Sender:
    def __init__(
        self,
        service: Service,
        channels: dict[str, Channel],
        renderer: Renderer,
        calendar: ShopCalendar,
        contact_policy: ContactPolicy,
        poll_seconds: float = 0.25,
        take_created: Callable[[], bool] = lambda: False,
    ) -> None:
        """`take_created` returns true once after decisions of this process created notices."""
        self._service, self._channels, self._renderer = service, channels, renderer
        self._planner = SendPlanner(tuple(channels), calendar, contact_policy)
        self._poll_seconds, self._take_created = poll_seconds, take_created
        self._wake = WakeSignal()
        self._breaker = CircuitBreaker(lambda: asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Send due notices until cancelled; on shutdown, finish and record the current batch."""
        self._service.clock.on_set(self._wake)
        self._service.wake_relay.follow(self._on_commit)
        try:
            while True:
                batch = asyncio.ensure_future(self._send_due_safely())
                try:
                    sent = await asyncio.shield(batch)
                except asyncio.CancelledError:
                    await asyncio.wait({batch}, timeout=SHUTDOWN_TIME_LIMIT)
                    raise
                if sent < BATCH_SIZE:
                    await self._wake.wait(self._pause())
        finally:
            for channel in self._channels.values():
                await channel.close()

    def _on_commit(self) -> None:
        if self._take_created():
            self._wake()

    def _pause(self) -> float:
        probe_in = self._breaker.next_probe_in()
        return self._poll_seconds if probe_in is None else min(self._poll_seconds, probe_in.total_seconds())

    async def _send_due_safely(self) -> int:
        try:
            return await self.send_due()
        except Exception:  # the loop must survive any error of a batch
            log.exception("failed to finish a batch; its notices are claimed again after the lease")
            return 0

    async def send_due(self) -> int:
        """Claim, send and record one batch; return the number of claimed notices."""
        async with self._service.transaction() as tx:
            claimed = await notice_queue.claim_notices(tx.conn, tx.now, BATCH_SIZE, LEASE)
            claimed = await with_purchases(tx.conn, claimed, is_complete=self._planner.policy.counts_orders)
            plan = self._planner.plan(claimed, tx.now, self._breaker.open_for_long())
            await notice_queue.mark_started(tx.conn, started(plan))
        if claimed:
            failpoint("notices_claimed")
            begin = time_ns()
            attempts = await self._send(plan.messages)
            failpoint("notices_sent")
            await self._record(plan, attempts, begin)
        return len(claimed)

    async def _record(self, plan: SendPlan, attempts: Sequence[SendAttempt], begin: int) -> None:
        """Retry until recorded; otherwise messages are re-sent and only deduplication by the provider drops them."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(is_transient),
            wait=wait_random_exponential(0.05, max=5),
            stop=stop_after_delay(RECORD_TIME_LIMIT),
            reraise=True,
        ):
            with attempt:
                await delivery_outcomes.record_outcomes(self._service, plan, attempts, self._breaker, begin)

    async def _send(self, messages: Sequence[OutgoingMessage]) -> list[SendAttempt]:
        by_channel: dict[str, list[OutgoingMessage]] = {}
        for message in messages:
            by_channel.setdefault(message.route.channel, []).append(message)
        attempts = await asyncio.gather(*(self._send_by_channel(name, batch) for name, batch in by_channel.items()))
        return [attempt for batch in attempts for attempt in batch]

    async def _send_by_channel(self, name: str, messages: list[OutgoingMessage]) -> list[SendAttempt]:
        quota = self._breaker.probe_quota(name)
        limit = len(messages) if quota is None else quota
        channel = self._channels[name]
        encoded, results = self._encode(channel, messages[:limit])
        outcomes = await channel.send([message for _, message in encoded], SEND_TIME_LIMIT)
        self._breaker.record(name, outcomes)
        results += [(message, outcome) for (message, _), outcome in zip(encoded, outcomes, strict=True)]
        not_attempted = SendOutcome(SendStatus.NOT_ATTEMPTED, "channel_unavailable")
        results += [(message, not_attempted) for message in messages[limit:]]
        return [
            SendAttempt(notice, message.route, channel.name, outcome, self._alternatives(notice, name, outcome))
            for message, outcome in results
            for notice in message.notices
        ]

    def _encode(
        self, channel: Channel, messages: Sequence[OutgoingMessage]
    ) -> tuple[list[tuple[OutgoingMessage, EncodedMessage]], list[MessageOutcome]]:
        """Return the encoded messages, and outcomes for those that cannot be rendered."""
        encoded: list[tuple[OutgoingMessage, EncodedMessage]] = []
        failed: list[MessageOutcome] = []
        now = self._service.clock.now()
        for message in messages:
            try:
                encoded.append((message, channel.encode(message.draft(self._renderer, parse_facts, now))))
            except Exception as error:  # one unreadable notice must not delay the others
                notice = message.notices[0]
                with log_context.about_issue(notice.issue_id, notice.trace):
                    log.exception("failed to render notice notice_id=%s kind=%s", notice.notice_id, notice.kind)
                cause = f"rendering_failed: {type(error).__name__}"
                failed.append((message, SendOutcome(SendStatus.PERMANENT_FAILURE, cause)))
        return encoded, failed

    def _alternatives(self, notice: ClaimedNotice, name: str, outcome: SendOutcome) -> Sequence[str]:
        """Return the channels that remain for this customer after a failure on this one."""
        contact = notice.contact
        if contact is None or outcome.status == SendStatus.SENT:
            return ()
        excluded = {name, *notice.failed_channels, *contact.suppressed}
        if notice.kind in ADVERTISING:
            excluded |= self._channels.keys() - contact.consents
        return [channel for channel in self._channels if channel not in excluded and contact.address(channel)]
