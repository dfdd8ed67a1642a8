"""News about dates: which notices carry them, what newer news takes back, and how long news may be held back."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from libs.common.decisions.facts import Fact
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.notices import Outcome, Thing, leave_out, withdraw
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.policy.notification_rules import Rules

DATE_NEWS = frozenset(
    {NoticeKind.ORDER_DELAYED, NoticeKind.ORDER_OVERDUE, NoticeKind.ORDER_EARLY, NoticeKind.PREORDER_PROGRESS}
)
"""About the day on which something leaves."""

ARRIVAL_NEWS = frozenset({NoticeKind.DELIVERY_DELAYED, NoticeKind.DELIVERY_OVERDUE})
"""About the day on which it is at the door."""


def overtake(conversation: Conversation, kinds: frozenset[NoticeKind], lines: frozenset[str], cause: str) -> Outcome:
    """What was said of these lines, and has not left, is over; said of others as well, it is said of those only."""
    if not lines:
        return conversation, []
    taken_back = withdraw(conversation, kinds, lines, cause)
    conversation, left_out = leave_out(conversation, kinds, lines)
    facts: list[Fact] = [*taken_back, *left_out]
    return conversation, facts


def held_back(conversation: Conversation, line_id: str, kind: NoticeKind, now: datetime) -> bool:
    """The newest date of this line was put into a notice that has not left: the customer does not know it."""
    about = (said for said in reversed(conversation.said) if said.kind is kind and line_id in said.about)
    return next((said.held_back(now) for said in about), False)


def leaves_at(conversation: Conversation, kind: NoticeKind, lines: frozenset[str], now: datetime) -> datetime | None:
    """When the news that is held back about these lines was to leave: what takes its place does not wait longer."""
    about = (said for said in conversation.said if said.kind is kind and said.held_back(now))
    return min((said.due_at for said in about if said.due_at and lines & set(said.about)), default=None)


def hold(wanted: timedelta, breaks: Iterable[datetime | None], now: datetime, rules: Rules) -> timedelta:
    """So long a notice may be held back: never up to the moment at which a promise that it speaks of breaks."""
    soonest = min((moment for moment in breaks if moment and moment > now), default=None)
    if soonest is None:
        return timedelta(0)
    return max(timedelta(0), min(wanted, soonest - rules.margin - now))


def thing(line: Line, *, moved: bool = False, arrival_moved: bool = False) -> Thing:
    """A line as a notice shows it, with the dates that the customer knew where they have moved."""
    ship, delivery = line.shipping, line.delivery
    return Thing(
        line.name,
        line.quantity - line.shipped if line.open else line.quantity - line.delivered,
        ship.day,
        ship.last_announced_date if moved else None,
        line.stage,
        line.stage_detail,
        line.line_id,
        None,
        delivery.day,
        delivery.last_announced_date if arrival_moved else None,
    )
