"""Sends staff notices on the one channel that staff chose: claimed, sent outside any transaction, recorded.

Failures are tried again for about ten hours and then given up and logged; the notices stay listed for ops.
"""

import asyncio
import logging
import random
from datetime import timedelta

from libs.common.messaging.failpoints import failpoint
from libs.common.runtime.service import Service
from services.delivery_notify.channels.channel import Channel, EncodedMessage, MessageDraft, SendOutcome, SendStatus
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNotice
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
                except Exception:  # the loop must outlive whatever a batch meets
                    log.exception("staff notices could not be sent; they are taken again when their lease is over")
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._channel.close()

    async def _check_dead_letters(self) -> None:
        """Once for each topic and occasion: the first dead letter of a topic names it."""
        now = asyncio.get_running_loop().time()
        if now < self._next_dead_letter_check:
            return
        self._next_dead_letter_check = now + DEAD_LETTER_CHECK_SECONDS
        async with self._service.transaction() as tx:
            found = await staff_notices.dead_letters_by_topic(tx.conn)
            notices = [
                StaffNotice(StaffKind.DEAD_LETTERS, (topic, str(first)), tx.now, {"topic": topic, "first": str(first)})
                for topic, _, first in found
            ]
            await staff_notices.save(tx.conn, notices)

    async def send_due(self) -> int:
        """One batch; gives how many were claimed."""
        if self._breaker.remaining("staff"):
            return 0
        async with self._service.transaction() as tx:
            claimed = await staff_notices.claim(tx.conn, BATCH_SIZE, LEASE)
        if not claimed:
            return 0
        failpoint("staff_claimed")
        written = [(notice, message) for notice in claimed if (message := await self._encode(notice))]
        outcomes = await self._channel.send([message for _, message in written], SEND_TIME_LIMIT)
        failpoint("staff_sent")
        self._breaker.record("staff", outcomes)
        for (notice, _), outcome in zip(written, outcomes, strict=True):
            await self._record(notice, outcome)
        return len(claimed)

    async def _encode(self, notice: ClaimedStaffNotice) -> EncodedMessage | None:
        try:
            rendered = self._texts.render(notice.kind, notice.facts)
        except (ValueError, KeyError) as error:
            await self._record(notice, SendOutcome(SendStatus.PERMANENT_FAILURE, f"unwritable: {type(error).__name__}"))
            return None
        name, language = self._texts.shop, self._texts.language
        draft = MessageDraft(notice.staff_notice_id, name, self._address, language, notice.made_at, rendered)
        return self._channel.encode(draft)

    async def _record(self, notice: ClaimedStaffNotice, outcome: SendOutcome) -> None:
        cause, untried = (
            outcome.cause or "unknown",
            outcome.status in (SendStatus.CHANNEL_UNAVAILABLE, SendStatus.NOT_ATTEMPTED),
        )
        again = untried or (outcome.status is SendStatus.TEMPORARY_FAILURE and notice.attempts < MAX_ATTEMPTS)
        async with self._service.transaction() as tx:
            if again:
                usual = backoff(notice.attempts, random.random())  # noqa: S311
                pause = self._breaker.remaining("staff") if untried else usual
                await staff_notices.reschedule(tx.conn, notice.staff_notice_id, cause, pause, counts=not untried)
                return
            status = "sent" if outcome.status is SendStatus.SENT else "failed"
            ids, failed = [notice.staff_notice_id], status == "failed"
            await staff_notices.settle(tx.conn, ids, status, self._channel.name, cause if failed else None, tx.now)
        self._service.counters.add("staff_notice", status)
        if failed:
            log.error("staff notice %s (%s) was given up: %s", notice.staff_notice_id, notice.kind, cause)
