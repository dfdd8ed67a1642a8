"""Send plan of a claimed batch: the route of each notice, deferrals and suppressions. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.shop_calendar import ShopCalendar
from services.delivery_notify.domain.routing import Defer, Route, RoutingContext, Unreachable, route
from services.delivery_notify.sending.messages import (
    OutgoingMessage,
    RoutedNotice,
    SendPlan,
    group_into_messages,
    is_complete,
)
from services.delivery_notify.store.conversations import parse_facts
from services.delivery_notify.store.notice_outcomes import Completed, Deferred, Rescheduled
from services.delivery_notify.store.notice_queue import ClaimedNotice, StartedNotice

INCOMPLETE_GROUP_DELAY = timedelta(seconds=0.25)


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """Limits on contacting a customer. `quiet_hours`: first and last shop hour without LINE and SMS; `counts_orders`:
    all orders of all customers are known, so that messages may name the number of an order."""

    quiet_hours: tuple[int, int] = (21, 8)
    max_messages_per_day: int = 6
    counts_orders: bool = False


@dataclass(frozen=True, slots=True)
class SendPlanner:
    """`channels` are the configured channels in default order."""

    channels: Sequence[str]
    calendar: ShopCalendar
    policy: ContactPolicy

    def plan(self, claimed: Sequence[ClaimedNotice], now: datetime, open_for_long: Collection[str]) -> SendPlan:
        """Route each notice; channels in `open_for_long` are the last choice."""
        plan, routed = SendPlan(leases={each.notice_id: each.leased_until for each in claimed}), list[RoutedNotice]()
        context = RoutingContext(
            now,
            self.calendar,
            self.channels,
            open_for_long,
            self.policy.quiet_hours,
            self.policy.max_messages_per_day,
        )
        for notice in claimed:
            match self._route(notice, context):
                case Route() as way:
                    routed.append(RoutedNotice(notice, way))
                case Defer(until=until, cause=cause, batched=held):
                    plan.deferred.append(Deferred(notice.notice_id, until, cause, held))
                case Unreachable(cause=cause):
                    plan.suppressed.append((notice, Completed(notice.notice_id, "suppressed", cause=cause)))
        for message in group_into_messages(routed):
            if is_complete(message):
                plan.messages.append(message)
            else:
                plan.rescheduled += _reschedule(message)
        return plan

    def _route(self, notice: ClaimedNotice, context: RoutingContext) -> Route | Defer | Unreachable:
        if notice.withdrawn:
            return Unreachable(notice.withdrawn)
        if notice.contact is None:
            return Unreachable("contact_unknown")
        breaks_at = self._promise_deadline(notice) if len(self.channels) > 1 else None
        if notice.recent_messages or breaks_at:
            context = replace(context, recent_messages=notice.recent_messages, promise_deadline=breaks_at)
        return route(
            notice.kind, notice.contact, notice.failed_channels, notice.started_channel, notice.batched, context
        )

    def _promise_deadline(self, notice: ClaimedNotice) -> datetime | None:
        """Return the end of the promised day that this notice supersedes, if its facts are readable and name one."""
        try:
            day = parse_facts(notice.facts).previous_day
        except ValueError:
            return None
        return self.calendar.moment(day + timedelta(days=1), 0) if day else None


def _reschedule(message: OutgoingMessage) -> list[Rescheduled]:
    return [
        Rescheduled(notice.notice_id, "group_incomplete", INCOMPLETE_GROUP_DELAY, counts=False)
        for notice in message.notices
    ]


def started(plan: SendPlan) -> list[StartedNotice]:
    """Return the rows that fix route and group of each notice before it is sent."""
    return [
        StartedNotice(notice.notice_id, message.route.channel, message.group_id)
        for message in plan.messages
        for notice in message.notices
    ]
