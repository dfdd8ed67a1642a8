"""The sender: claims due notices, writes and sends them outside any transaction, records how it went in one.

A message's key follows from its notice, and its way is written down before it leaves; so when a process dies between
sending and recording, the second message goes the same way with the same `Message-ID` or idempotency key, and the
customer has one. Until the outcome is recorded the row is leased, by the wall clock; nobody else takes it. Sending ends
long before the lease does; what was not tried by then is given back. An error never ends the loop: a notice that cannot
be read or written is failed by itself, and a database or server that is away is waited for.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_random_exponential

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.messaging.failpoints import failpoint
from libs.common.postgres.pool import is_transient
from libs.common.runtime.service import Service, ServiceTransaction
from services.delivery_notify.channels.channel import Channel, EncodedMessage, SendOutcome, SendStatus
from services.delivery_notify.domain.routing import Defer, Route, RoutingContext, Unreachable, route
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.sending import delivery_outcomes
from services.delivery_notify.sending.circuit_breaker import CircuitBreaker
from services.delivery_notify.sending.messages import (
    OutgoingMessage,
    RoutedNotice,
    SendPlan,
    group_into_messages,
    is_complete,
)
from services.delivery_notify.sending.retry_policy import SendAttempt
from services.delivery_notify.store import notice_queue
from services.delivery_notify.store.conversations import parse_facts
from services.delivery_notify.store.notice_queue import ClaimedNotice, Completed, Deferred, Rescheduled, StartedNotice

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=5)
SEND_TIME_LIMIT = 120.0
"""No message is begun later than this after its batch was claimed; with `DELIVERY_SECONDS` well within the lease."""

BATCH_SIZE = 500
INCOMPLETE_GROUP_DELAY = timedelta(seconds=0.25)
RECORD_TIME_LIMIT = 120.0
SHUTDOWN_TIME_LIMIT = 20.0


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """When customers are left in peace. `quiet` are shop hours, from and to, for what rings."""

    quiet_hours: tuple[int, int] = (21, 8)
    max_messages_per_day: int = 6
    poll_seconds: float = 0.25


class Sender:
    def __init__(
        self,
        service: Service,
        channels: dict[str, Channel],
        renderer: Renderer,
        calendar: ShopCalendar,
        contact_policy: ContactPolicy,
    ) -> None:
        self._service, self._channels, self._renderer = service, channels, renderer
        self._calendar, self._contact_policy = calendar, contact_policy
        self._breaker = CircuitBreaker(lambda: asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Send what is due, for ever. On shutdown the batch under way is finished and recorded."""
        try:
            while True:
                batch = asyncio.ensure_future(self._send_due_safely())
                try:
                    sent = await asyncio.shield(batch)
                except asyncio.CancelledError:
                    await asyncio.wait({batch}, timeout=SHUTDOWN_TIME_LIMIT)
                    raise
                if sent < BATCH_SIZE:
                    rest = self._breaker.next_probe_in()
                    poll = self._contact_policy.poll_seconds
                    await asyncio.sleep(min(poll, rest.total_seconds() if rest is not None else poll))
        finally:
            for channel in self._channels.values():
                await channel.close()

    async def _send_due_safely(self) -> int:
        try:
            return await self.send_due()
        except Exception:  # the loop must outlive whatever a batch meets
            log.exception("the sender could not finish a batch; its notices are taken again when their lease is over")
            return 0

    async def send_due(self) -> int:
        """One batch: claim, send, record. Gives how many notices were claimed."""
        async with self._service.transaction() as tx:
            claimed = await notice_queue.claim_notices(tx.conn, tx.now, BATCH_SIZE, LEASE)
            outgoing = await self._plan(tx, claimed) if claimed else None
        if outgoing:
            failpoint("notices_claimed")
            tried = await self._send(outgoing.messages)
            failpoint("notices_sent")
            await self._record(outgoing, tried)
        return len(claimed)

    async def _record(self, outgoing: SendPlan, tried: Sequence[SendAttempt]) -> None:
        """What has left is written down, through deadlocks and restarts: else it would leave again, and only the
        other side's memory would hold it back."""
        async for attempt in AsyncRetrying(
            retry=retry_if_exception(is_transient),
            wait=wait_random_exponential(0.05, max=5),
            stop=stop_after_delay(RECORD_TIME_LIMIT),
            reraise=True,
        ):
            with attempt:
                await delivery_outcomes.record_outcomes(self._service, outgoing, tried, self._breaker)

    async def _plan(self, tx: ServiceTransaction, claimed: Sequence[ClaimedNotice]) -> SendPlan:
        """Decide on each way and write it down, in the transaction of the claim."""
        outgoing = SendPlan()
        planned: list[RoutedNotice] = []
        usual = self._routing_context(tx)
        for notice in claimed:
            match self._route(notice, usual):
                case Route() as way:
                    planned.append(RoutedNotice(notice, way))
                case Defer(until=until, cause=cause, batched=held):
                    outgoing.deferred.append(Deferred(notice.notice_id, until, cause, held))
                case Unreachable(cause=cause):
                    outgoing.suppressed.append((notice, Completed(notice.notice_id, "suppressed", cause=cause)))
        for parcel in group_into_messages(planned):
            if is_complete(parcel):
                outgoing.messages.append(parcel)
            else:
                outgoing.rescheduled += [
                    Rescheduled(n.notice_id, "parts_missing", INCOMPLETE_GROUP_DELAY, counts=False)
                    for n in parcel.notices
                ]
        begun = [
            StartedNotice(notice.notice_id, parcel.route.channel, parcel.group_id)
            for parcel in outgoing.messages
            for notice in parcel.notices
        ]
        await notice_queue.mark_started(tx.conn, begun)
        return outgoing

    def _routing_context(self, tx: ServiceTransaction) -> RoutingContext:
        """What is the same for a whole batch."""
        manners, away = self._contact_policy, self._breaker.open_for_long()
        return RoutingContext(
            tx.now, self._calendar, tuple(self._channels), away, manners.quiet_hours, manners.max_messages_per_day
        )

    def _route(self, notice: ClaimedNotice, usual: RoutingContext) -> Route | Defer | Unreachable:
        if cause := notice.withdrawn or (None if notice.contact else "contact_unknown"):
            return Unreachable(cause)
        assert notice.contact is not None
        breaks_at = self._promise_deadline(notice) if len(self._channels) > 1 else None
        given = (
            replace(usual, recent_messages=notice.recent_messages, promise_deadline=breaks_at)
            if notice.recent_messages or breaks_at
            else usual
        )
        return route(notice.kind, notice.contact, notice.failed_channels, notice.started_channel, notice.batched, given)

    def _promise_deadline(self, notice: ClaimedNotice) -> datetime | None:
        """When the promise is over that this notice takes back; None where it takes none back, or cannot be read."""
        try:
            day = parse_facts(notice.facts).previous_day
        except ValueError:
            return None
        return self._calendar.moment(day + timedelta(days=1), 0) if day else None

    async def _send(self, outgoing: Sequence[OutgoingMessage]) -> list[SendAttempt]:
        by_channel: dict[str, list[OutgoingMessage]] = {}
        for parcel in outgoing:
            by_channel.setdefault(parcel.route.channel, []).append(parcel)
        sent = await asyncio.gather(*(self._send_by_channel(name, theirs) for name, theirs in by_channel.items()))
        return [each for tried in sent for each in tried]

    async def _send_by_channel(self, name: str, outgoing: list[OutgoingMessage]) -> list[SendAttempt]:
        channel = self._channels[name]
        may_try = self._breaker.probe_quota(name)
        now, later = (outgoing, []) if may_try is None else (outgoing[:may_try], outgoing[may_try:])
        results: list[tuple[OutgoingMessage, SendOutcome]] = [
            (each, SendOutcome(SendStatus.NOT_ATTEMPTED, "channel_away")) for each in later
        ]
        written: list[tuple[OutgoingMessage, EncodedMessage]] = []
        for parcel in now:
            try:
                written.append((parcel, self._encode(channel, parcel)))
            except Exception as error:  # one notice that cannot be written must not hold up the others
                log.exception("notice %s (%s) cannot be written", parcel.notices[0].notice_id, parcel.notices[0].kind)
                results.append(
                    (parcel, SendOutcome(SendStatus.PERMANENT_FAILURE, f"unwritable: {type(error).__name__}"))
                )
        outcomes = await channel.send([message for _, message in written], SEND_TIME_LIMIT)
        self._breaker.record(name, outcomes)
        results += [(parcel, outcome) for (parcel, _), outcome in zip(written, outcomes, strict=True)]
        return [
            SendAttempt(notice, parcel.route, channel.name, outcome, self._alternatives(notice, name, outcome))
            for parcel, outcome in results
            for notice in parcel.notices
        ]

    def _encode(self, channel: Channel, parcel: OutgoingMessage) -> EncodedMessage:
        return channel.encode(parcel.draft(self._renderer, parse_facts, self._service.clock.now()))

    def _alternatives(self, notice: ClaimedNotice, name: str, outcome: SendOutcome) -> Sequence[str]:
        """Channels by which the customer could still be reached, where this one did not do."""
        contact = notice.contact
        if contact is None or outcome.status is SendStatus.SENT:
            return ()
        closed = {name, *notice.failed_channels, *contact.suppressed}
        return [other for other in self._channels if other not in closed and contact.address(other)]
