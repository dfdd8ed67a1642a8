"""The sender: claims due notices, writes and sends them outside any transaction, records how it went in one.

A notice's `Message-ID` follows from its id, so when a process dies between sending and recording, the second mail
carries the same one and mail programs show one message. Until the outcome is recorded the row is leased, by the wall
clock; nobody else takes it. Sending ends long before the lease does; what was not tried by then is given back. An error
never ends the loop: a notice that cannot be read or written is failed by itself, and a database or mail server that is
away is waited for. That wait is the sender's own and costs no notice an attempt.
"""

import asyncio
import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common import outbox
from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeFailed, NoticeKind, NoticeSent, NoticeSuppressed
from libs.common.service import Service
from libs.common.telemetry import Carrier
from services.delivery_notify import sending_store, store
from services.delivery_notify.channels.channel import Channel, Draft, Message, Outcome, Verdict
from services.delivery_notify.render import Letter, Renderer
from services.delivery_notify.sending_store import Claimed, Contact, PutOff, Settled

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
SEND_SECONDS = 120.0
"""No message is begun later than this after its batch was claimed; with `DELIVERY_SECONDS` well within the lease."""

BATCH = 500
PROBE = 10
"""How many notices are claimed while the mail server is away."""
POLL_SECONDS = 0.25
SHUTDOWN_SECONDS = 20.0

MAX_ATTEMPTS = 20
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
"""With these, a notice is given up after about ten hours of temporary failures."""

LONGEST_ABSENCE = timedelta(minutes=1)
"""A mail server that is away is asked again after this at the latest."""


def pause_after(attempt: int, jitter: float) -> timedelta:
    """How long to wait after the `attempt`-th failure (from 1); `jitter` between 0 and 1 takes off up to a half."""
    pause: timedelta = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(attempt - 1, 20))
    return pause * (0.5 + jitter / 2)


@dataclass(frozen=True, slots=True)
class Result:
    """A claimed notice and what became of it."""

    notice: Claimed
    outcome: Outcome | None = None
    suppressed: str | None = None

    @property
    def contact(self) -> Contact:
        if self.notice.contact is None:
            raise ValueError("a notice without a contact is never sent")
        return self.notice.contact


class Sender:
    def __init__(self, service: Service, channel: Channel, renderer: Renderer) -> None:
        self._service, self._channel, self._renderer = service, channel, renderer
        self._away = 0

    async def run(self) -> None:
        """Send what is due, for ever. On shutdown the batch under way is finished and recorded."""
        try:
            while True:
                batch = asyncio.ensure_future(self._send_due_safely())
                try:
                    sent = await asyncio.shield(batch)
                except asyncio.CancelledError:
                    await asyncio.wait({batch}, timeout=SHUTDOWN_SECONDS)
                    raise
                if self._away:
                    await asyncio.sleep(min(LONGEST_ABSENCE, pause_after(self._away, random.random())).total_seconds())  # noqa: S311
                elif sent < BATCH:
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            await self._channel.close()

    async def _send_due_safely(self) -> int:
        try:
            return await self.send_due()
        except Exception:  # the loop must outlive whatever a batch meets
            log.exception("the sender could not finish a batch; its notices are taken again when their lease is over")
            return 0

    async def send_due(self) -> int:
        """One batch: claim, send, record. Gives how many notices were claimed."""
        async with self._service.transaction() as tx:
            claimed = await sending_store.claim_notices(tx.conn, tx.now, PROBE if self._away else BATCH, LEASE)
        if claimed:
            await self._record(await self._send(claimed))
        return len(claimed)

    async def _send(self, claimed: Sequence[Claimed]) -> list[Result]:
        results: list[Result] = []
        written: list[tuple[Claimed, Message]] = []
        for notice in claimed:
            if cause := notice.withdrawn or (None if notice.contact else "contact_unknown"):
                results.append(Result(notice, suppressed=cause))
                continue
            try:
                written.append((notice, self.message(notice, self._service.clock.now())))
            except Exception as error:  # one notice that cannot be written must not hold up the others
                log.exception("notice %s (%s) cannot be written", notice.notice_id, notice.kind)
                results.append(Result(notice, Outcome(Verdict.REFUSED, f"unwritable: {type(error).__name__}")))
        outcomes = await self._channel.send([message for _, message in written], SEND_SECONDS)
        self._heed(outcomes)
        return results + [Result(notice, outcome) for (notice, _), outcome in zip(written, outcomes, strict=True)]

    def _heed(self, outcomes: Sequence[Outcome]) -> None:
        """Count the batches in a row for which the mail server was away."""
        verdicts = {outcome.verdict for outcome in outcomes}
        if Verdict.AWAY in verdicts and Verdict.SENT not in verdicts:
            self._away += 1
        elif verdicts:
            self._away = 0

    def message(self, notice: Claimed, now: datetime) -> Message:
        """The mail for one notice. Raises where it cannot be read, or a fact that its words need is missing."""
        contact = Result(notice).contact
        kind, facts = NoticeKind(notice.kind), store.read_facts(notice.facts)
        letter = Letter(kind, notice.order_id, contact.name, contact.language, facts)
        rendered = self._renderer.render(letter)
        return self._channel.write(
            Draft(notice.notice_id, contact.name, contact.email, contact.language, now, rendered)
        )

    async def _record(self, results: Sequence[Result]) -> None:
        """Outcomes and their events, in one transaction."""
        later = [_put_off(result) for result in results if _again(result)]
        ended = [result for result in results if not _again(result)]
        async with self._service.transaction() as tx:
            settled = await sending_store.settle_notices(tx.conn, [self._settled(result) for result in ended], tx.now)
            await sending_store.put_off_notices(tx.conn, later)
            told = [result for result in ended if result.notice.notice_id in settled]
            events = [(self._event(result, tx.now), _trace(result.notice)) for result in told if _nameable(result)]
            rows = [tx.shell.outbox_row(event, trace) for event, trace in events]
            await outbox.write(tx.conn, rows)
        for result in told:
            self._service.counters.add("notice", self._settled(result).status)

    def _settled(self, result: Result) -> Settled:
        notice_id, channel = result.notice.notice_id, self._channel.name
        if result.suppressed:
            return Settled(notice_id, "suppressed", cause=result.suppressed)
        if result.outcome and result.outcome.verdict is Verdict.SENT:
            return Settled(notice_id, "sent", channel, result.contact.language)
        return Settled(notice_id, "failed", channel, cause=_cause(result))

    def _event(self, result: Result, now: datetime) -> Payload:
        notice = result.notice
        about = {
            "order_id": notice.order_id,
            "customer_id": notice.customer_id,
            "issue_id": notice.issue_id,
            "notice_id": notice.notice_id,
            "kind": notice.kind,
        }
        if result.suppressed:
            return NoticeSuppressed.model_validate({**about, "cause": result.suppressed, "suppressed_at": now})
        channel = self._channel.name
        if result.outcome and result.outcome.verdict is Verdict.SENT:
            told = {"language": result.contact.language, "promised_date": notice.promised_date, "sent_at": now}
            return NoticeSent.model_validate({**about, "channel": channel, **told})
        return NoticeFailed.model_validate({**about, "channel": channel, "cause": _cause(result), "failed_at": now})


def _again(result: Result) -> bool:
    """Whether to try this one again: a temporary failure that has not lasted too long."""
    verdict = result.outcome.verdict if result.outcome else None
    return verdict in _UNTRIED or (verdict is Verdict.LATER and result.notice.attempts < MAX_ATTEMPTS)


_UNTRIED = (Verdict.AWAY, Verdict.NOT_TRIED)


def _put_off(result: Result) -> PutOff:
    """An attempt is followed by a pause; what was not tried is given back as it was."""
    outcome = result.outcome
    tried = outcome is not None and outcome.verdict is Verdict.LATER
    pause = pause_after(result.notice.attempts, random.random()) if tried else timedelta(0)  # noqa: S311
    return PutOff(result.notice.notice_id, (outcome.cause if outcome else None) or "unknown", pause, counts=tried)


def _nameable(result: Result) -> bool:
    """Of a kind that the contract knows: of another, which only newer code can have made, there is no event to tell."""
    return result.notice.kind in set(NoticeKind)


def _cause(result: Result) -> str:
    cause = (result.outcome.cause if result.outcome else None) or "unknown"
    given_up = result.outcome is not None and result.outcome.verdict is Verdict.LATER
    return f"given up after {result.notice.attempts} attempts: {cause}" if given_up else cause


def _trace(notice: Claimed) -> Carrier | None:
    return {"traceparent": notice.traceparent} if notice.traceparent else None
