"""Channel routing of notices, and whether a notice is sent now.

The customer's preferred channels come first, then the others with an address. A channel that failed permanently for
this notice, or whose address is suppressed, is skipped. An attempt that was started on a channel is retried there,
because only that provider can deduplicate it. LINE and SMS observe quiet hours; a notice that cannot wait for the
morning uses another channel, or else is sent. The daily limit defers only what the law and promised dates allow.
Advertising takes only channels that the customer agreed to.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.domain.loyalty_news import ADVERTISING

AUDIBLE_CHANNELS = frozenset({"line", "sms"})

MORNING_HOUR = 9
"""Shop hour at which notices deferred by the daily limit are sent."""

DEFERRABLE = frozenset(
    {
        NoticeKind.ISSUE_RESOLVED,
        NoticeKind.ITEM_RECEIVED,
        NoticeKind.REFUND_REQUESTED,
        NoticeKind.REFUNDED,
        NoticeKind.REPLACEMENT_PROMISED,
        NoticeKind.PREORDER_PROGRESS,
        NoticeKind.POINTS_GRANTED,
        NoticeKind.POINTS_EXPIRING,
    }
)
"""Kinds that the daily limit may defer to the next morning: no date breaks, nothing is asked, no law sets a term. A new
kind is added here only after a decision about it."""


@dataclass(frozen=True, slots=True)
class RecipientContact:
    """Addresses and preferences of one customer; `consents` are the channels for advertising. Personal data."""

    name: str
    email: str | None
    language: Language
    phone: str | None = None
    line_user_id: str | None = None
    preferred: tuple[str, ...] = ()
    suppressed: frozenset[str] = frozenset()
    last_purchased_item: str | None = None
    purchase_count: int | None = None
    consents: frozenset[str] = frozenset()

    def address(self, channel: str) -> str | None:
        return {"email": self.email, "sms": self.phone, "line": self.line_user_id}.get(channel)


@dataclass(frozen=True)
class RoutingContext:
    """Inputs of routing besides the notice: the time, the configured channels in their default order, and those that
    have been unavailable for long. `recent_messages` counts the customer's messages of the last 24 hours;
    `promise_deadline` is when the promise breaks that the notice is about."""

    now: datetime
    calendar: ShopCalendar
    channels: Sequence[str]
    unavailable: Collection[str] = ()
    quiet_hours: tuple[int, int] = (21, 8)
    max_messages_per_day: int = 6
    recent_messages: int = 0
    promise_deadline: datetime | None = None


@dataclass(frozen=True, slots=True)
class Route:
    channel: str
    address: str


@dataclass(frozen=True, slots=True)
class Defer:
    """Send at that shop time; `batched`: in one message with others."""

    until: datetime
    cause: str
    batched: bool = False


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No channel is left for this customer."""

    cause: str


RoutingDecision: TypeAlias = Route | Defer | Unreachable


def route(
    kind: str,
    contact: RecipientContact,
    failed_channels: Collection[str],
    started_channel: str,
    batched: bool,
    context: RoutingContext,
) -> RoutingDecision:
    """Return the route of this notice. An attempt on `started_channel` ("" for none) may have succeeded."""
    closed = {*failed_channels, *contact.suppressed}
    if kind in ADVERTISING:
        closed |= set(context.channels) - contact.consents
        if not contact.consents & set(context.channels):
            return Unreachable("no_consent")
    if (
        started_channel in context.channels
        and started_channel not in closed
        and (address := contact.address(started_channel))
    ):
        return Route(started_channel, address)
    candidates = [each for each in available_routes(contact, context) if each.channel not in closed]
    if not candidates:
        return Unreachable("address_suppressed" if contact.suppressed and not failed_channels else "no_channel_left")
    if not batched and context.recent_messages >= context.max_messages_per_day and kind in DEFERRABLE | ADVERTISING:
        # Never in one message with others: each advertising message has its own link to unsubscribe.
        return Defer(_next_morning(context), "daily_limit", batched=kind not in ADVERTISING)
    return _unless_quiet(candidates, context)


def available_routes(contact: RecipientContact, context: RoutingContext) -> list[Route]:
    """Return all routes, preferred channels first, unavailable ones last."""
    chosen = [channel for channel in contact.preferred if channel in context.channels]
    names = [*chosen, *(channel for channel in context.channels if channel not in chosen)]
    found = [Route(name, address) for name in names if (address := contact.address(name))]
    return sorted(found, key=lambda each: each.channel in context.unavailable)


def _unless_quiet(candidates: list[Route], context: RoutingContext) -> RoutingDecision:
    if candidates[0].channel not in AUDIBLE_CHANNELS or (morning := quiet_hours_end(context)) is None:
        return candidates[0]
    breaks_tonight = context.promise_deadline is not None and context.now < context.promise_deadline <= morning
    if not breaks_tonight:
        return Defer(morning, "quiet_hours")
    return next((each for each in candidates if each.channel not in AUDIBLE_CHANNELS), candidates[0])


def quiet_hours_end(context: RoutingContext) -> datetime | None:
    """Return the end of the current quiet hours; None outside of them."""
    begin, end = context.quiet_hours
    hour = context.now.astimezone(context.calendar.zone).hour
    if begin == end or not (hour >= begin or hour < end if begin > end else begin <= hour < end):
        return None
    today = context.calendar.day(context.now)
    day = today + timedelta(days=1) if begin > end and hour >= begin else today
    return context.calendar.moment(day, end)


def _next_morning(context: RoutingContext) -> datetime:
    return context.calendar.moment(context.calendar.day(context.now) + timedelta(days=1), MORNING_HOUR)
