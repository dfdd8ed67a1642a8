"""What the life of an issue means for the customer, in as few messages as can be.

Not every event is a message: that a report was accepted and when the replacement ships is one thing to say, so the
first waits a moment for the second; the warehouse's confirmation is told only where it changes the date; a delivery
needs no mail, the parcel tells. A talk that stays quiet has a moment at which it speaks (`quiet_until`), and a day
named for our next word is kept.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

from libs.common.decisions.facts import Anomaly, Fact, Ignored
from libs.common.decisions.fast_replace import replace
from libs.common.events import issues as ev
from libs.common.events.issues import IssueEvent
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain import collection_notices, points, replacements
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.customer_questions import Asked, ask, close_questions
from services.delivery_notify.domain.issue_thread import Item, Talk, Waiting
from services.delivery_notify.domain.notices import NoticeFacts, Outcome
from services.delivery_notify.domain.replacements import ISSUE_NEWS, about, issue_facts, tell, withdraw_issue
from services.delivery_notify.policy.notification_rules import Rules

PLAN_COMES = timedelta(minutes=15)
"""How long "we have your report" waits for "and this is what we do"."""

REFUND_COMES = timedelta(minutes=30)
"""How long "it came back", and "we asked for your refund", wait for the refund or the end that usually follows."""

WORD_HOUR = 12

Closing: TypeAlias = ev.IssueResolved | ev.IssueCancelled | ev.IssueRejected


def take(conversation: Conversation, event: IssueEvent, now: datetime, rules: Rules) -> Outcome:
    """One event of an issue's life. Total: an event for a closed issue, or for another customer, changes nothing."""
    if conversation.customer_id is not None and conversation.customer_id != event.customer_id:
        return conversation, [Anomaly("issue_of_another_customer", f"{conversation.order_id} {event.issue_id}")]
    talk = conversation.talk(event.issue_id) or Talk(event.issue_id, event.customer_id)
    if talk.closed_by == "rejected" and isinstance(event, ev.IssueAccepted):
        talk = replace(talk, closed_by=None)  # what was missing came later, or staff let it stand after all
    if talk.closed_by and not isinstance(event, ev.IssueReopened | ev.IssueRefunded):
        return conversation, [Ignored("issue_closed")]
    said = TAKES.get(type(event))
    return said(conversation, talk, event, now, rules) if said else (conversation, [Ignored("nothing_to_say")])


def _accepted(conversation: Conversation, talk: Talk, event: ev.IssueAccepted, now: datetime, rules: Rules) -> Outcome:
    items = tuple(Item(line.line_id, line.part or line.name, line.quantity) for line in event.lines)
    if talk.answered or talk.waiting is not None:
        talk = replace(talk, reason=event.reason, items=items)
    else:
        talk = replace(talk, reason=event.reason, items=items, waiting=Waiting.PLAN, quiet_until=now + PLAN_COMES)
    return conversation.with_talk(talk), []


def speak(conversation: Conversation, issue_id: UUID, now: datetime, rules: Rules) -> Outcome:
    """A quiet talk's moment has come: say what is known, and when we write again."""
    talk = conversation.talk(issue_id)
    if talk is None or talk.waiting is None or talk.quiet_until is None or now < talk.quiet_until:
        return conversation, [Ignored("quiet_not_over")]
    match talk.waiting:
        case Waiting.PLAN:
            next_word = rules.calendar.add_open_days(rules.calendar.day(now), 1)
            facts = NoticeFacts(plan="wait", day=next_word, next_word=next_word, **issue_facts(conversation, talk))
            conversation = conversation.with_talk(_word_due(replace(talk, answered=True), next_word_at(now, rules)))
            return tell(conversation, talk, NoticeKind.ISSUE_ACCEPTED, facts, now, cause=(issue_id,))
        case Waiting.RECEIPT:
            day = rules.calendar.day(talk.received_at or now)
            conversation = conversation.with_talk(replace(talk, waiting=None, quiet_until=None))
            facts = NoticeFacts(day=day, **issue_facts(conversation, talk))
            return tell(conversation, talk, NoticeKind.ITEM_RECEIVED, facts, now, cause=(issue_id, talk.received_at))
        case Waiting.NEXT_WORD:
            next_word = rules.next_word(now, talk.words)
            after = replace(talk, words=talk.words + 1)
            conversation = conversation.with_talk(_word_due(after, rules.word_moment(next_word)))
            facts = NoticeFacts(day=next_word, next_word=next_word, word=after.words, **issue_facts(conversation, talk))
            cause = (issue_id, talk.quiet_until)
            conversation, told = tell(conversation, talk, NoticeKind.REVIEW_STARTED, facts, now, cause=cause)
            return conversation, [Anomaly("word_due_without_news", str(issue_id)), *told]


def next_word_at(now: datetime, rules: Rules) -> datetime:
    return rules.calendar.moment(rules.calendar.add_open_days(rules.calendar.day(now), 1), WORD_HOUR)


def _word_due(talk: Talk, at: datetime) -> Talk:
    return replace(talk, waiting=Waiting.NEXT_WORD, quiet_until=at)


def _review(
    conversation: Conversation, talk: Talk, event: ev.IssueReviewRequested, now: datetime, rules: Rules
) -> Outcome:
    """A customer who holds a date for the goods need not hear of our desk work; everybody else hears until when.

    Where a review takes long, our words become rarer: a word that was announced is kept, and none comes before it.
    """
    if talk.outbound and not talk.outbound.shipped:
        return conversation, [Ignored("holds_a_date")]
    if talk.words and talk.quiet_until and now < talk.quiet_until:
        return conversation, [Ignored("word_is_announced")]
    day = rules.calendar.day(event.due_at)
    day = max(day, rules.next_word(now, talk.words)) if talk.words else day
    due_at = max(event.due_at, rules.word_moment(day)) if talk.words else max(event.due_at, now + timedelta(hours=1))
    talk = replace(talk, answered=True, words=talk.words + 1)
    conversation = conversation.with_talk(_word_due(talk, due_at))
    facts = NoticeFacts(day=day, next_word=day, word=talk.words, **issue_facts(conversation, talk))
    return tell(conversation, talk, NoticeKind.REVIEW_STARTED, facts, now, cause=(event.issue_id, event.due_at))


def _details(
    conversation: Conversation, talk: Talk, event: ev.IssueDetailsRequested, now: datetime, rules: Rules
) -> Outcome:
    if event.lines:  # a report that is held was never accepted: this is the first we hear of what it is about
        items = tuple(Item(line.line_id, line.part or line.name, line.quantity) for line in event.lines)
        talk = replace(talk, reason=event.reason, items=items)
    conversation = conversation.with_talk(_said_something(talk))
    facts = NoticeFacts(day=rules.calendar.day(event.due_at), missing=event.missing, **issue_facts(conversation, talk))
    cause = (event.issue_id, event.due_at, *([event.reminder] if event.reminder else []))
    return tell(conversation, talk, NoticeKind.DETAILS_REQUESTED, facts, now, cause=cause)


def _choice(
    conversation: Conversation, talk: Talk, event: ev.IssueChoiceRequested, now: datetime, rules: Rules
) -> Outcome:
    if conversation.question(event.choice_id):
        return conversation, [Ignored("already_asked")]
    facts = NoticeFacts(
        day=event.restock_date or rules.calendar.day(event.due_at),
        next_word=rules.calendar.day(event.due_at),
        plan="restock" if event.restock_date else "unknown",
        code=event.cause,
        **issue_facts(conversation, talk),
    )
    taken_back = withdraw_issue(conversation, event.issue_id, ISSUE_NEWS, "overtaken")
    conversation = close_questions(conversation, "newer_news", issue_id=event.issue_id)
    conversation = conversation.with_talk(_said_something(talk))
    conversation, told = ask(
        conversation,
        NoticeKind.CHOICE_REQUESTED,
        facts,
        now,
        event.due_at,
        cause=(event.choice_id,),
        about=about(event.issue_id),
        asked=Asked(event.options, event.default, event.choice_id),
        issue_id=event.issue_id,
        customer_id=event.customer_id,
        promised_date=event.restock_date,
    )
    return conversation, [*taken_back, *told]


def _said_something(talk: Talk) -> Talk:
    return replace(talk, answered=True, waiting=None, quiet_until=None, words=0)


def _collection_asked(
    conversation: Conversation, talk: Talk, event: ev.IssueCollectionRequested, now: datetime, rules: Rules
) -> Outcome:
    """Told only where it is the first answer to the report; else the appointment itself is the news."""
    if talk.answered:
        return conversation, [Ignored("appointment_will_tell")]
    conversation = conversation.with_talk(_said_something(talk))
    facts = NoticeFacts(plan="collection", day=event.earliest_date, **issue_facts(conversation, talk))
    return tell(conversation, talk, NoticeKind.ISSUE_ACCEPTED, facts, now, cause=(event.issue_id,))


def _collection_booked(
    conversation: Conversation, talk: Talk, event: ev.IssueCollectionBooked, now: datetime, rules: Rules
) -> Outcome:
    window = event.window
    # Another appointment that the customer wished for is no missed one, whichever attempt it is.
    facts = NoticeFacts(
        day=window.day,
        from_hour=window.from_hour,
        to_hour=window.to_hour,
        word=talk.missed + 1,
        **issue_facts(conversation, talk),
    )
    conversation = conversation.with_talk(_said_something(talk))
    taken_back = withdraw_issue(conversation, event.issue_id, frozenset({NoticeKind.COLLECTION_BOOKED}), "overtaken")
    cause = (event.collection_id, event.attempt, window.day, window.from_hour, window.to_hour)
    conversation, told = tell(conversation, talk, NoticeKind.COLLECTION_BOOKED, facts, now, cause=cause)
    return conversation, [*taken_back, *told]


def _received(
    conversation: Conversation, talk: Talk, event: ev.IssueItemReceived, now: datetime, rules: Rules
) -> Outcome:
    talk = replace(talk, waiting=Waiting.RECEIPT, quiet_until=now + REFUND_COMES, received_at=event.received_at)
    return conversation.with_talk(talk), []


def _refund_asked(
    conversation: Conversation, talk: Talk, event: ev.IssueRefundRequested, now: datetime, rules: Rules
) -> Outcome:
    first = not talk.answered
    conversation = close_questions(conversation, "refund", issue_id=event.issue_id)
    taken_back = withdraw_issue(conversation, event.issue_id, frozenset({NoticeKind.CHOICE_REQUESTED}), "overtaken")
    conversation = conversation.with_talk(_said_something(talk))
    facts = NoticeFacts(
        plan="refund",
        day=rules.calendar.day(event.requested_at),
        amount=event.amount.amount,
        currency=event.amount.currency,
        **issue_facts(conversation, talk),
    )
    kind, cause = NoticeKind.REFUND_REQUESTED, event.refund_id
    if first:
        kind, cause = NoticeKind.ISSUE_ACCEPTED, event.issue_id
    wait = timedelta(0) if first else REFUND_COMES
    conversation, told = tell(conversation, talk, kind, facts, now, cause=(cause,), wait=wait)
    return conversation, [*taken_back, *told]


def _refunded(conversation: Conversation, talk: Talk, event: ev.IssueRefunded, now: datetime, rules: Rules) -> Outcome:
    taken_back = withdraw_issue(conversation, event.issue_id, frozenset({NoticeKind.REFUND_REQUESTED}), "overtaken")
    talk = replace(_said_something(talk), refunded_at=now)
    conversation = conversation.with_talk(talk)
    money = NoticeFacts(
        day=rules.calendar.day(event.refunded_at),
        amount=event.amount.amount,
        currency=event.amount.currency,
        **issue_facts(conversation, talk),
    )
    kind, cause = NoticeKind.REFUNDED, (event.refund_id,)
    conversation, told = points.tell_end(conversation, talk, kind, money, now, rules, cause=cause)
    return conversation, [*taken_back, *told]


def _resolved(conversation: Conversation, talk: Talk, event: ev.IssueResolved, now: datetime, rules: Rules) -> Outcome:
    """The end, with thanks; unless the refund told just now was the end."""
    if event.resolution <= talk.resolution:
        return conversation, [Ignored("resolved_before")]
    told_with_refund = talk.refunded_at is not None and now - talk.refunded_at < timedelta(days=1)
    talk = replace(_said_something(talk), resolution=event.resolution, reason=event.reason)
    conversation, facts = _close(conversation, talk, "resolved")
    talk = conversation.talk(event.issue_id) or talk
    if told_with_refund:
        conversation, told = points.say_sorry(conversation, talk, now)
        return conversation, [*facts, *(told or [Ignored("told_with_refund")])]
    day = rules.calendar.day(event.resolved_at)
    words = NoticeFacts(day=day, remedy=event.remedy, **issue_facts(conversation, talk))
    kind, cause = NoticeKind.ISSUE_RESOLVED, (event.issue_id, event.resolution)
    conversation, told = points.tell_end(conversation, talk, kind, words, now, rules, cause=cause)
    return conversation, [*facts, *told]


def _reopened(conversation: Conversation, talk: Talk, event: ev.IssueReopened, now: datetime, rules: Rules) -> Outcome:
    if event.resolution < talk.resolution or (event.resolution == talk.resolution and not talk.closed_by):
        return conversation, [Ignored("reopened_before")]
    next_word = rules.calendar.add_open_days(rules.calendar.day(now), 1)
    talk = _word_due(talk, next_word_at(now, rules))
    talk = replace(talk, closed_by=None, answered=True, refunded_at=None, resolution=event.resolution, sorry=None)
    conversation = conversation.with_talk(talk)
    over = withdraw_issue(conversation, event.issue_id, frozenset({NoticeKind.ISSUE_RESOLVED}), "reopened")
    facts = NoticeFacts(day=next_word, next_word=next_word, **issue_facts(conversation, talk))
    cause = (event.issue_id, event.resolution)
    conversation, told = tell(conversation, talk, NoticeKind.ISSUE_REOPENED, facts, now, cause=cause)
    return conversation, [*over, *told]


def _rejected(conversation: Conversation, talk: Talk, event: ev.IssueRejected, now: datetime, rules: Rules) -> Outcome:
    conversation, facts = _close(conversation, talk, "rejected")
    words = NoticeFacts(day=rules.calendar.day(event.rejected_at), code=event.code, **issue_facts(conversation, talk))
    conversation, told = tell(conversation, talk, NoticeKind.ISSUE_REJECTED, words, now, cause=(event.issue_id,))
    return conversation, [*facts, *told]


def _cancelled(
    conversation: Conversation, talk: Talk, event: ev.IssueCancelled, now: datetime, rules: Rules
) -> Outcome:
    conversation, facts = _close(conversation, talk, "cancelled")
    words = NoticeFacts(day=rules.calendar.day(event.cancelled_at), code=event.cause, **issue_facts(conversation, talk))
    cause = (event.issue_id, event.cancelled_at)
    conversation, told = tell(conversation, talk, NoticeKind.ISSUE_CANCELLED, words, now, cause=cause)
    return conversation, [*facts, *told]


def _close(conversation: Conversation, talk: Talk, cause: str) -> Outcome:
    """No more questions, no more waiting, and nothing that has not left yet."""
    facts: list[Fact] = withdraw_issue(conversation, talk.issue_id, ISSUE_NEWS, cause)
    conversation = conversation.with_talk(replace(talk, waiting=None, quiet_until=None, closed_by=cause))
    return close_questions(conversation, cause, issue_id=talk.issue_id), facts


# By the very class, see `domain`.
TAKES: Mapping[type[IssueEvent], Callable[[Conversation, Talk, Any, datetime, Rules], Outcome]] = {
    ev.IssueAccepted: _accepted,
    ev.IssueReplacementOrdered: replacements.ordered,
    ev.IssueReplacementPromised: replacements.dated,
    ev.IssueReplacementDelayed: replacements.dated,
    ev.IssueReplacementShipped: replacements.shipped,
    ev.IssueReviewRequested: _review,
    ev.IssueDetailsRequested: _details,
    ev.IssueChoiceRequested: _choice,
    ev.IssueCollectionRequested: _collection_asked,
    ev.IssueCollectionBooked: _collection_booked,
    ev.IssueCollectionAttempted: collection_notices.attempted,
    ev.IssueCollectionReminded: collection_notices.reminded,
    ev.IssueItemReceived: _received,
    ev.IssueRefundRequested: _refund_asked,
    ev.IssueRefunded: _refunded,
    ev.IssueResolved: _resolved,
    ev.IssueReopened: _reopened,
    ev.IssueRejected: _rejected,
    ev.IssueCancelled: _cancelled,
}
