"""Sender of staff notices on the one configured staff channel.

Notices are retried for about ten hours, then marked as failed and logged; they stay listed for ops.
"""

import asyncio
import logging
import random
from datetime import timedelta

from libs.common.messaging.failpoints import failpoint
from libs.common.runtime.service import Service
from libs.common.telemetry import log_context
from services.delivery_notify.channels.channel import Channel, EncodedMessage, MessageDraft, SendOutcome, SendStatus
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from services.delivery_notify.rendering.texts.staff import StaffTexts
from services.delivery_notify.sending.circuit_breaker import CircuitBreaker
from services.delivery_notify.sending.retry_policy import MAX_ATTEMPTS, backoff
from services.delivery_notify.store import staff_notices
from services.delivery_notify.store.staff_notices import ClaimedStaffNotice

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
SEND_TIME_LIMIT = 120.0
BATCH_SIZE = 20
POLL_SECONDS = 1.0
DEAD_LETTER_CHECK_SECONDS = 30.0

_CIRCUIT = "staff"


class StaffSender:
    def __init__(self, service: Service, channel: Channel, address: str, texts: StaffTexts) -> None:
        self._service, self._channel, self._address, self._texts = service, channel, address, texts
        self._breaker = CircuitBreaker(lambda: asyncio.get_running_loop().time())
        self._next_dead_letter_check = 0.0

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._check_dead_letters()
                    await self.send_due()
                except Exception:  # the loop must survive any error of a batch
                    log.exception("failed to send staff notices; they are claimed again after the lease")
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._channel.close()

    async def _check_dead_letters(self) -> None:
        """Create one staff notice per topic with dead letters; the id of the first open one identifies the incident."""
        now = asyncio.get_running_loop().time()
        if now < self._next_dead_letter_check:
            return
        self._next_dead_letter_check = now + DEAD_LETTER_CHECK_SECONDS
        async with self._service.transaction() as tx:
            topics = await staff_notices.dead_letters_by_topic(tx.conn)
            notices = [
                StaffNoticeCreated(
                    StaffKind.DEAD_LETTERS, (topic, str(first)), tx.now, {"topic": topic, "first": str(first)}
                )
                for topic, _, first in topics
            ]
            await staff_notices.save(tx.conn, notices)

    async def send_due(self) -> int:
        """Claim, send and record one batch; return the number of claimed notices."""
        if self._breaker.remaining(_CIRCUIT):
            return 0
        async with self._service.transaction() as tx:
            claimed = await staff_notices.claim(tx.conn, BATCH_SIZE, LEASE)
        if not claimed:
            return 0
        failpoint("staff_claimed")
        encoded = [(notice, message) for notice in claimed if (message := await self._encode(notice))]
        outcomes = await self._channel.send([message for _, message in encoded], SEND_TIME_LIMIT)
        failpoint("staff_sent")
        self._breaker.record(_CIRCUIT, outcomes)
        for (notice, _), outcome in zip(encoded, outcomes, strict=True):
            await self._record(notice, outcome)
        return len(claimed)

    async def _encode(self, notice: ClaimedStaffNotice) -> EncodedMessage | None:
        """Return the message; None for a notice that cannot be rendered or encoded, which must not hold up others."""
        shop, language = self._texts.shop, self._texts.language
        try:
            rendered = self._texts.render(notice.kind, notice.facts)
            draft = MessageDraft(notice.staff_notice_id, shop, self._address, language, notice.made_at, rendered)
            return self._channel.encode(draft)
        except (ValueError, KeyError) as error:
            cause = f"rendering_failed: {type(error).__name__}"
            await self._record(notice, SendOutcome(SendStatus.PERMANENT_FAILURE, cause))
            return None

    async def _record(self, notice: ClaimedStaffNotice, outcome: SendOutcome) -> None:
        not_attempted = outcome.status in (SendStatus.CHANNEL_UNAVAILABLE, SendStatus.NOT_ATTEMPTED)
        retry = outcome.status == SendStatus.TEMPORARY_FAILURE and notice.attempts < MAX_ATTEMPTS
        if not_attempted:
            await self._reschedule(notice, outcome, self._breaker.remaining(_CIRCUIT), counts=False)
        elif retry:
            await self._reschedule(notice, outcome, backoff(notice.attempts, random.random()), counts=True)  # noqa: S311
        else:
            await self._settle(notice, outcome)

    async def _reschedule(
        self, notice: ClaimedStaffNotice, outcome: SendOutcome, pause: timedelta, *, counts: bool
    ) -> None:
        async with self._service.transaction() as tx:
            await staff_notices.reschedule(tx.conn, notice, outcome.cause or "unknown", pause, counts=counts)

    async def _settle(self, notice: ClaimedStaffNotice, outcome: SendOutcome) -> None:
        sent = outcome.status == SendStatus.SENT
        status, cause = ("sent", None) if sent else ("failed", outcome.cause or "unknown")
        async with self._service.transaction() as tx:
            await staff_notices.settle(tx.conn, notice, status, self._channel.name, cause, tx.now)
        self._service.counters.add("staff_notice", status)
        if not sent:
            with log_context.about_issue(notice.facts.get("issue_id"), None):
                log.error("gave up staff notice id=%s kind=%s cause=%s", notice.staff_notice_id, notice.kind, cause)
