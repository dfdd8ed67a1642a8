"""Notices of gifts: birthday points, points of a campaign, and a higher tier. All of them are advertising.

They are sent only to customers who agreed (`consents`), on a channel that they agreed to; points are granted all the
same. Notices about an issue's points and about expiring points (`points`) need no consent. The sender checks it again
right before each message, so a withdrawal stops what is still unsent.
"""

from datetime import datetime, timedelta
from typing import Any

from libs.common.decisions.facts import Fact, Ignored
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.loyalty import GrantKind, PointsGranted, TierChanged
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.notice_creation import notice_id
from services.delivery_notify.domain.notices import NoticeCreated, NoticeFacts

ADVERTISING = frozenset({NoticeKind.BIRTHDAY_POINTS, NoticeKind.CAMPAIGN_POINTS, NoticeKind.TIER_REACHED})
"""Kinds of notices that need consent, name the seller and contain a link to unsubscribe."""

BIRTHDAY_TERM = timedelta(days=2)
"""Longest delay of birthday wishes; later ones are worse than none."""

GiftEvent = PointsGranted | TierChanged


def is_gift(payload: Any) -> bool:
    """Return true for birthday points, points that a campaign raised, and changes of a tier."""
    if isinstance(payload, PointsGranted):
        return payload.issue_id is None and (payload.kind is GrantKind.BIRTHDAY or bool(payload.campaigns))
    return isinstance(payload, TierChanged)


def announce(order_id: str | None, event: GiftEvent, now: datetime, calendar: ShopCalendar) -> Fact:
    """Return the notice of a gift. `order_id` is the customer's latest order, whose contact is used; None without
    consent."""
    if order_id is None:
        return Ignored("no_consent")
    if isinstance(event, TierChanged):
        return _tier(order_id, event, now) if event.raised else Ignored("tier_not_raised")
    is_birthday = event.kind is GrantKind.BIRTHDAY
    if is_birthday and event.granted_at < now - BIRTHDAY_TERM:
        return Ignored("birthday_over")
    facts = NoticeFacts(
        day=event.expires_on,
        points=event.points,
        usable_from=calendar.day(event.vests_at or event.granted_at),
        usable_until=event.expires_on,
        campaigns=event.campaigns,
        titles=event.titles,
    )
    kind = NoticeKind.BIRTHDAY_POINTS if is_birthday else NoticeKind.CAMPAIGN_POINTS
    new_id = notice_id(event.customer_id, kind, event.entry_id)
    return NoticeCreated(new_id, order_id, event.customer_id, kind, facts, now, now)


def _tier(order_id: str, event: TierChanged, now: datetime) -> NoticeCreated:
    """A lower tier is not announced: it is not the news that a customer agreed to."""
    kind = NoticeKind.TIER_REACHED
    facts = NoticeFacts(day=event.until, tier=event.tier, perks=event.perks, titles=event.titles)
    new_id = notice_id(event.customer_id, kind, event.tier, event.changed_at.isoformat())
    return NoticeCreated(new_id, order_id, event.customer_id, kind, facts, now, now)
