"""Which way a notice takes to its customer, and whether it leaves now: pure, from what is known of the customer.

The customer's own order of channels first, then the others for which we have an address. A channel that failed for good
for this notice, or whose address is suppressed, is passed over. What was begun on a channel stays there, because only
that provider can know the message again. LINE and SMS ring, so they are silent at night; a notice that cannot wait for
the morning takes another way, or rings. A cap keeps back what can wait, and never what the law or a date is about.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language

RINGING = frozenset({"line", "sms"})

MORNING_HOUR = 9
"""Shop hour at which what a cap kept back leaves."""

CAN_WAIT = frozenset(
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
"""What a cap may keep until the next morning: no date breaks, nothing is asked, and no law sets a term. New kinds are
not among these until somebody has thought about it."""


@dataclass(frozen=True, slots=True)
class Contact:
    """How one customer can be reached, and what they prefer. Personal data."""

    name: str
    email: str
    language: Language
    phone: str | None = None
    line_user_id: str | None = None
    preferred: tuple[str, ...] = ()
    suppressed: frozenset[str] = frozenset()
    last_purchased_item: str | None = None

    def address(self, channel: str) -> str | None:
        return {"email": self.email, "sms": self.phone, "line": self.line_user_id}.get(channel)


@dataclass(frozen=True)
class Circumstances:
    """What else decides: the moment, the channels there are (in their usual order), and those that have been away for
    long. `heard` is how many messages the customer got in the last 24 hours, `breaks_at` when the promise breaks that
    the notice is about."""

    now: datetime
    calendar: ShopCalendar
    channels: Sequence[str]
    long_away: Collection[str] = ()
    quiet: tuple[int, int] = (21, 8)
    max_messages_per_day: int = 6
    heard: int = 0
    breaks_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Way:
    channel: str
    address: str


@dataclass(frozen=True, slots=True)
class Keep:
    """Not now: again at that moment of the shop's clock. `held`: it may then leave with others in one message."""

    until: datetime
    cause: str
    held: bool = False


@dataclass(frozen=True, slots=True)
class NoWay:
    """There is no way to this customer (any more)."""

    cause: str


Route: TypeAlias = Way | Keep | NoWay


def route(kind: str, contact: Contact, tried: Collection[str], begun: str, held: bool, given: Circumstances) -> Route:
    """The way for this notice. `begun` is the channel on which an earlier attempt may have got through, if any."""
    closed = {*tried, *contact.suppressed}
    if begun in given.channels and begun not in closed and (address := contact.address(begun)):
        return Way(begun, address)
    open_ways = [way for way in ways(contact, given) if way.channel not in closed]
    if not open_ways:
        return NoWay("address_suppressed" if contact.suppressed and not tried else "no_way_left")
    if not held and given.heard >= given.max_messages_per_day and kind in CAN_WAIT:
        return Keep(_next_morning(given), "kept_for_the_morning", held=True)
    return _unless_quiet(open_ways, given)


def ways(contact: Contact, given: Circumstances) -> list[Way]:
    """Every way there is, the customer's own order first, what has been away for long last."""
    chosen = [channel for channel in contact.preferred if channel in given.channels]
    names = [*chosen, *(channel for channel in given.channels if channel not in chosen)]
    found = [Way(name, address) for name in names if (address := contact.address(name))]
    return sorted(found, key=lambda way: way.channel in given.long_away)


def _unless_quiet(open_ways: list[Way], given: Circumstances) -> Route:
    if open_ways[0].channel not in RINGING or (morning := quiet_until(given)) is None:
        return open_ways[0]
    breaks_tonight = given.breaks_at is not None and given.now < given.breaks_at <= morning
    if not breaks_tonight:
        return Keep(morning, "quiet_hours")
    return next((way for way in open_ways if way.channel not in RINGING), open_ways[0])


def quiet_until(given: Circumstances) -> datetime | None:
    """The end of the quiet hours that this moment lies in; None where it lies in none."""
    begin, end = given.quiet
    hour = given.now.astimezone(given.calendar.zone).hour
    if begin == end or not (hour >= begin or hour < end if begin > end else begin <= hour < end):
        return None
    today = given.calendar.day(given.now)
    day = today + timedelta(days=1) if begin > end and hour >= begin else today
    return given.calendar.moment(day, end)


def _next_morning(given: Circumstances) -> datetime:
    return given.calendar.moment(given.calendar.day(given.now) + timedelta(days=1), MORNING_HOUR)
