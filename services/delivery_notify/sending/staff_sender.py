"""Sends staff notices on the one channel that staff chose: claimed, sent outside any transaction, recorded.

Failures are tried again for about ten hours and then given up and logged; the notices stay listed for ops.
"""

import asyncio
import logging
import random
from datetime import timedelta

from libs.common.messaging.failpoints import failpoint
from libs.common.runtime.service import Service
from services.delivery_notify.channels.channel import Channel, Draft, Message, Outcome, Verdict
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNotice
from services.delivery_notify.rendering.texts.staff import StaffWords
from services.delivery_notify.sending.circuit_breaker import Rests
from services.delivery_notify.sending.retry_policy import MAX_ATTEMPTS, pause_after
from services.delivery_notify.store import staff_notices
from services.delivery_notify.store.staff_notices import ClaimedForStaff

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
SEND_SECONDS = 120.0
BATCH = 20
POLL_SECONDS = 1.0
LOOK_FOR_PARKED_SECONDS = 30.0


class StaffSender:
    def __init__(self, service: Service, channel: Channel, address: str, words: StaffWords) -> None:
        self._service, self._channel, self._address, self._words = service, channel, address, words
        self._rests = Rests(lambda: asyncio.get_running_loop().time())
        self._look_at = 0.0

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
        if now < self._look_at:
            return
        self._look_at = now + LOOK_FOR_PARKED_SECONDS
        async with self._service.transaction() as tx:
            found = await staff_notices.dead_letters_by_topic(tx.conn)
            notices = [
                StaffNotice(StaffKind.DEAD_LETTERS, (topic, str(first)), tx.now, {"topic": topic, "first": str(first)})
                for topic, _, first in found
            ]
            await staff_notices.save(tx.conn, notices)

    async def send_due(self) -> int:
        """One batch; gives how many were claimed."""
        if self._rests.left("staff"):
            return 0
        async with self._service.transaction() as tx:
            claimed = await staff_notices.claim(tx.conn, BATCH, LEASE)
        if not claimed:
            return 0
        failpoint("staff_claimed")
        written = [(notice, message) for notice in claimed if (message := await self._write(notice))]
        outcomes = await self._channel.send([message for _, message in written], SEND_SECONDS)
        failpoint("staff_sent")
        self._rests.heed("staff", outcomes)
        for (notice, _), outcome in zip(written, outcomes, strict=True):
            await self._record(notice, outcome)
        return len(claimed)

    async def _write(self, notice: ClaimedForStaff) -> Message | None:
        try:
            rendered = self._words.render(notice.kind, notice.facts)
        except (ValueError, KeyError) as error:
            await self._record(notice, Outcome(Verdict.REFUSED, f"unwritable: {type(error).__name__}"))
            return None
        name, language = self._words.shop, self._words.language
        draft = Draft(notice.staff_notice_id, name, self._address, language, notice.made_at, rendered)
        return self._channel.write(draft)

    async def _record(self, notice: ClaimedForStaff, outcome: Outcome) -> None:
        cause, untried = outcome.cause or "unknown", outcome.verdict in (Verdict.AWAY, Verdict.NOT_TRIED)
        again = untried or (outcome.verdict == Verdict.LATER and notice.attempts < MAX_ATTEMPTS)
        async with self._service.transaction() as tx:
            if again:
                usual = pause_after(notice.attempts, random.random())  # noqa: S311
                pause = self._rests.left("staff") if untried else usual
                await staff_notices.put_off(tx.conn, notice.staff_notice_id, cause, pause, counts=not untried)
                return
            status = "sent" if outcome.verdict == Verdict.SENT else "failed"
            ids, failed = [notice.staff_notice_id], status == "failed"
            await staff_notices.settle(tx.conn, ids, status, self._channel.name, cause if failed else None, tx.now)
        self._service.counters.add("staff_notice", status)
        if failed:
            log.error("staff notice %s (%s) was given up: %s", notice.staff_notice_id, notice.kind, cause)
