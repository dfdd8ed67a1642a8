"""The dates of a replacement: each told once, the newest last. A broken date is the returns service's to renew; it
guards every replacement with a timer of its own, so there is none here."""

from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import TypedDict
from uuid import UUID

from libs.common.decisions.facts import Fact, Ignored
from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import (
    IssueReplacementDelayed,
    IssueReplacementOrdered,
    IssueReplacementPromised,
    IssueReplacementShipped,
)
from libs.common.events.notices import NoticeKind, PromiseSubject
from libs.common.events.values import Reason
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.customer_questions import close_questions
from services.delivery_notify.domain.issue_thread import Outbound, Talk
from services.delivery_notify.domain.notices import (
    NO_NEWS,
    News,
    NoticeFacts,
    Outcome,
    PromiseMade,
    Thing,
    say,
    withdraw,
)
from services.delivery_notify.domain.promises import ref
from services.delivery_notify.policy.notification_rules import Rules

DATES = frozenset({NoticeKind.REPLACEMENT_PROMISED, NoticeKind.REPLACEMENT_DELAYED})
ISSUE_NEWS = DATES | {
    NoticeKind.ISSUE_ACCEPTED,
    NoticeKind.REVIEW_STARTED,
    NoticeKind.DETAILS_REQUESTED,
    NoticeKind.CHOICE_REQUESTED,
    NoticeKind.COLLECTION_BOOKED,
}
"""Notices about something still to come; they are taken back when it is overtaken."""

BEFORE_A_DATE = ISSUE_NEWS - {NoticeKind.COLLECTION_BOOKED, NoticeKind.CHOICE_REQUESTED}
"""What a newer date of the replacement overtakes: older dates, among them that of the answer to the report."""

BEFORE_THE_GOODS = ISSUE_NEWS - {NoticeKind.COLLECTION_BOOKED}
"""What another replacement, or one that has left, overtakes: the question what to do instead as well."""


# Kept, for an event asks it of one issue several times.
@lru_cache(maxsize=256)
def about(issue_id: UUID) -> tuple[str, ...]:
    return (f"issue:{issue_id}",)


def withdraw_issue(conversation: Conversation, issue_id: UUID, kinds: frozenset[NoticeKind], cause: str) -> list[Fact]:
    return withdraw(conversation, kinds, frozenset(about(issue_id)), cause)


class IssueFacts(TypedDict):
    """What every notice about an issue knows."""

    things: tuple[Thing, ...]
    reason: Reason | None
    purchase_count: int | None


def issue_facts(conversation: Conversation, talk: Talk) -> IssueFacts:
    """What the talk is about: the reason and the things reported."""
    things = tuple([Thing(item.name, item.quantity) for item in talk.items])
    return {"things": things, "reason": talk.reason, "purchase_count": conversation.purchase_count}


def tell(
    conversation: Conversation,
    talk: Talk,
    kind: NoticeKind,
    facts: NoticeFacts,
    now: datetime,
    *,
    cause: tuple[object, ...],
    wait: timedelta = timedelta(0),
) -> Outcome:
    """A notice about an issue. A day is a promise where the goods' way is what the notice is about."""
    promise = facts.day if kind in _PROMISING or facts.plan == "replacement" else None
    return say(
        conversation,
        kind,
        facts,
        now,
        cause=cause,
        about=about(talk.issue_id),
        issue_id=talk.issue_id,
        customer_id=talk.customer_id,
        promised_date=promise,
        wait=wait,
        news=_news(talk, kind, facts),
    )


def _news(talk: Talk, kind: NoticeKind, facts: NoticeFacts) -> News:
    """The date of the replacement that this notice tells, and the one that it says is not kept."""
    goods = talk.outbound
    if goods is None or not (kind in DATES or facts.plan == "replacement"):
        return NO_NEWS
    subject, subject_id = PromiseSubject.REPLACEMENT, str(goods.replacement_id)
    told = ref(subject, subject_id, goods.version, goods.ship_date)
    late = kind is NoticeKind.REPLACEMENT_DELAYED
    broken = ref(subject, subject_id, max(0, goods.version - 1), facts.previous_day) if late else ()
    return News(told, broken)


_PROMISING = DATES | {NoticeKind.REPLACEMENT_SHIPPED, NoticeKind.COLLECTION_BOOKED}


def ordered(
    conversation: Conversation, talk: Talk, event: IssueReplacementOrdered, now: datetime, rules: Rules
) -> Outcome:
    """The first definite date. If the report was not answered yet, this is the answer."""
    known = talk.outbound
    if event.replacement_id in talk.past_outbound or (known and known.replacement_id == event.replacement_id):
        return conversation, [Ignored("replacement_known")]
    past = (*talk.past_outbound, known.replacement_id) if known else talk.past_outbound
    outbound = Outbound(event.replacement_id, event.promised_ship_date)
    first = not talk.answered
    talk = replace(talk, outbound=outbound, past_outbound=past, answered=True, waiting=None, quiet_until=None)
    conversation = conversation.with_talk(talk)
    conversation, overtaken = _overtake(conversation, talk.issue_id, "overtaken", "promised")
    row = _row(conversation, outbound, "issue.replacement_ordered", now)
    about_it = issue_facts(conversation, talk)
    facts = NoticeFacts(plan="replacement", day=event.promised_ship_date, remedy=event.remedy, **about_it)
    if first:
        conversation, told = tell(conversation, talk, NoticeKind.ISSUE_ACCEPTED, facts, now, cause=(talk.issue_id,))
    else:
        kind = NoticeKind.REPLACEMENT_PROMISED
        conversation, told = tell(conversation, talk, kind, facts, now, cause=(event.replacement_id, 0))
    return conversation, [row, *overtaken, *told]


def dated(
    conversation: Conversation,
    talk: Talk,
    event: IssueReplacementPromised | IssueReplacementDelayed,
    now: datetime,
    rules: Rules,
) -> Outcome:
    """A newer date. The customer hears of it only where it differs from the one already told."""
    known = talk.outbound
    if event.replacement_id in talk.past_outbound:
        return conversation, [Ignored("replacement_replaced")]
    if known and known.replacement_id == event.replacement_id and (known.shipped or event.version <= known.version):
        return conversation, [Ignored("older_promise")]
    told_before = known.ship_date if known and known.replacement_id == event.replacement_id else None
    past = (*talk.past_outbound, known.replacement_id) if known and told_before is None else talk.past_outbound
    outbound = Outbound(event.replacement_id, event.ship_date, event.version)
    talk = replace(talk, outbound=outbound, past_outbound=past, answered=True, waiting=None, quiet_until=None)
    conversation = conversation.with_talk(talk)
    facts: list[Fact] = [_row(conversation, outbound, event.TYPE.removesuffix(".v1"), now)]
    if known and told_before is None:
        conversation, overtaken = _overtake(conversation, talk.issue_id, "overtaken", "promised")
        facts += overtaken
    if told_before == event.ship_date:
        return conversation, [*facts, Ignored("same_promise")]
    previous = event.previous_ship_date if isinstance(event, IssueReplacementDelayed) else None
    conversation, told = _tell_date(conversation, talk, outbound, told_before or previous, now)
    return conversation, [*facts, *told]


def _tell_date(
    conversation: Conversation, talk: Talk, outbound: Outbound, before: date | None, now: datetime
) -> Outcome:
    later = before is not None and outbound.ship_date > before
    kind = NoticeKind.REPLACEMENT_DELAYED if later else NoticeKind.REPLACEMENT_PROMISED
    facts = NoticeFacts(day=outbound.ship_date, previous_day=before, **issue_facts(conversation, talk))
    taken_back = withdraw_issue(conversation, talk.issue_id, BEFORE_A_DATE, "overtaken")
    conversation, told = tell(conversation, talk, kind, facts, now, cause=(outbound.replacement_id, outbound.version))
    return conversation, [*taken_back, *told]


def shipped(
    conversation: Conversation, talk: Talk, event: IssueReplacementShipped, now: datetime, rules: Rules
) -> Outcome:
    known = talk.outbound
    if known and known.replacement_id == event.replacement_id and known.shipped:
        return conversation, [Ignored("shipped_before")]
    conversation, overtaken = _overtake(conversation, talk.issue_id, "shipped", "shipped")
    outbound = known if known and known.replacement_id == event.replacement_id else None
    if outbound is None:
        outbound = Outbound(event.replacement_id, event.expected_delivery_date)
    talk = replace(talk, outbound=replace(outbound, shipped=True), answered=True, waiting=None, quiet_until=None)
    conversation = conversation.with_talk(talk)
    facts = NoticeFacts(
        day=event.expected_delivery_date,
        carrier=event.carrier,
        tracking_number=event.tracking_number,
        **issue_facts(conversation, talk),
    )
    cause = (event.replacement_id,)
    conversation, told = tell(conversation, talk, NoticeKind.REPLACEMENT_SHIPPED, facts, now, cause=cause)
    return conversation, [*overtaken, *told]


def _overtake(conversation: Conversation, issue_id: UUID, cause: str, closed_by: str) -> Outcome:
    """The goods come after all: what was said or asked before, and has not left or been answered, is over."""
    taken_back = withdraw_issue(conversation, issue_id, BEFORE_THE_GOODS, cause)
    return close_questions(conversation, closed_by, issue_id=issue_id), taken_back


def _row(conversation: Conversation, outbound: Outbound, source: str, now: datetime) -> PromiseMade:
    subject_id = str(outbound.replacement_id)
    return PromiseMade(
        conversation.order_id, "replacement", subject_id, outbound.version, outbound.ship_date, source, now
    )
