"""The dates of a replacement: each told once, the newest last. A broken date is the returns service's to renew; it
guards every replacement with a timer of its own, so there is none here."""

from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

from libs.common.decision import Fact, Ignored
from libs.common.events.issues import (
    IssueReplacementDelayed,
    IssueReplacementOrdered,
    IssueReplacementPromised,
    IssueReplacementShipped,
)
from libs.common.events.notices import NoticeKind
from services.delivery_notify.conversation import Conversation, Outbound, Talk
from services.delivery_notify.notices import NoticeFacts, Outcome, PromiseMade, Thing, say, withdraw

DATES = frozenset({NoticeKind.REPLACEMENT_PROMISED, NoticeKind.REPLACEMENT_DELAYED})
ISSUE_NEWS = DATES | {
    NoticeKind.ISSUE_ACCEPTED,
    NoticeKind.REVIEW_STARTED,
    NoticeKind.DETAILS_REQUESTED,
    NoticeKind.CHOICE_REQUESTED,
    NoticeKind.COLLECTION_BOOKED,
}
"""Notices about something still to come; they are taken back when it is overtaken."""


def about(issue_id: UUID) -> tuple[str, ...]:
    return (f"issue:{issue_id}",)


def withdraw_issue(order: Conversation, issue_id: UUID, kinds: frozenset[NoticeKind], cause: str) -> list[Fact]:
    return withdraw(order, kinds, frozenset(about(issue_id)), cause)


def issue_facts(order: Conversation, talk: Talk, facts: NoticeFacts) -> NoticeFacts:
    """These facts with what the talk is about: the reason and the things reported."""
    things = facts.things or tuple(Thing(item.name, item.quantity) for item in talk.items)
    return replace(facts, things=things, reason=talk.reason, purchase_count=order.purchase_count)


def tell(
    order: Conversation, talk: Talk, kind: NoticeKind, facts: NoticeFacts, now: datetime, *, cause: tuple[object, ...]
) -> Outcome:
    """A notice about an issue. A day is a promise where the goods' way is what the notice is about."""
    promise = facts.day if kind in _PROMISING or facts.plan == "replacement" else None
    return say(
        order,
        kind,
        facts,
        now,
        cause=cause,
        about=about(talk.issue_id),
        issue_id=talk.issue_id,
        customer_id=talk.customer_id,
        promised_date=promise,
    )


_PROMISING = DATES | {NoticeKind.REPLACEMENT_SHIPPED, NoticeKind.COLLECTION_BOOKED}


def ordered(order: Conversation, talk: Talk, event: IssueReplacementOrdered, now: datetime) -> Outcome:
    """The first definite date. If the report was not answered yet, this is the answer."""
    known = talk.outbound
    if event.replacement_id in talk.past_outbound or (known and known.replacement_id == event.replacement_id):
        return order, [Ignored("replacement_known")]
    past = (*talk.past_outbound, known.replacement_id) if known else talk.past_outbound
    outbound = Outbound(event.replacement_id, event.promised_ship_date)
    first = not talk.answered
    talk = replace(talk, outbound=outbound, past_outbound=past, answered=True, waiting=None, quiet_until=None)
    order = order.with_talk(talk)
    row = _row(order, outbound, "issue.replacement_ordered", now)
    plan = NoticeFacts(plan="replacement", day=event.promised_ship_date, remedy=event.remedy)
    facts = issue_facts(order, talk, plan)
    if first:
        order, told = tell(order, talk, NoticeKind.ISSUE_ACCEPTED, facts, now, cause=(talk.issue_id,))
    else:
        kind = NoticeKind.REPLACEMENT_PROMISED
        order, told = tell(order, talk, kind, facts, now, cause=(event.replacement_id, 0))
    return order, [row, *told]


def dated(
    order: Conversation, talk: Talk, event: IssueReplacementPromised | IssueReplacementDelayed, now: datetime
) -> Outcome:
    """A newer date. The customer hears of it only where it differs from the one already told."""
    known = talk.outbound
    if event.replacement_id in talk.past_outbound:
        return order, [Ignored("replacement_replaced")]
    if known and known.replacement_id == event.replacement_id and (known.shipped or event.version <= known.version):
        return order, [Ignored("older_promise")]
    told_before = known.ship_date if known and known.replacement_id == event.replacement_id else None
    past = (*talk.past_outbound, known.replacement_id) if known and told_before is None else talk.past_outbound
    outbound = Outbound(event.replacement_id, event.ship_date, event.version)
    talk = replace(talk, outbound=outbound, past_outbound=past, answered=True, waiting=None, quiet_until=None)
    order = order.with_talk(talk)
    facts: list[Fact] = [_row(order, outbound, event.TYPE.removesuffix(".v1"), now)]
    if told_before == event.ship_date:
        return order, [*facts, Ignored("same_promise")]
    previous = event.previous_ship_date if isinstance(event, IssueReplacementDelayed) else None
    order, told = _tell_date(order, talk, outbound, told_before or previous, now)
    return order, [*facts, *told]


def _tell_date(order: Conversation, talk: Talk, outbound: Outbound, before: date | None, now: datetime) -> Outcome:
    later = before is not None and outbound.ship_date > before
    kind = NoticeKind.REPLACEMENT_DELAYED if later else NoticeKind.REPLACEMENT_PROMISED
    facts = issue_facts(order, talk, NoticeFacts(day=outbound.ship_date, previous_day=before))
    taken_back = withdraw_issue(order, talk.issue_id, DATES, "overtaken")
    order, told = tell(order, talk, kind, facts, now, cause=(outbound.replacement_id, outbound.version))
    return order, [*taken_back, *told]


def shipped(order: Conversation, talk: Talk, event: IssueReplacementShipped, now: datetime) -> Outcome:
    known = talk.outbound
    if known and known.replacement_id == event.replacement_id and known.shipped:
        return order, [Ignored("shipped_before")]
    taken_back = withdraw_issue(order, talk.issue_id, DATES, "shipped")
    outbound = known if known and known.replacement_id == event.replacement_id else None
    if outbound is None:
        outbound = Outbound(event.replacement_id, event.expected_delivery_date)
    talk = replace(talk, outbound=replace(outbound, shipped=True), answered=True, waiting=None, quiet_until=None)
    order = order.with_talk(talk)
    way = NoticeFacts(day=event.expected_delivery_date, carrier=event.carrier, tracking_number=event.tracking_number)
    facts = issue_facts(order, talk, way)
    cause = (event.replacement_id,)
    order, told = tell(order, talk, NoticeKind.REPLACEMENT_SHIPPED, facts, now, cause=cause)
    return order, [*taken_back, *told]


def _row(order: Conversation, outbound: Outbound, source: str, now: datetime) -> PromiseMade:
    subject_id = str(outbound.replacement_id)
    return PromiseMade(order.order_id, "replacement", subject_id, outbound.version, outbound.ship_date, source, now)
