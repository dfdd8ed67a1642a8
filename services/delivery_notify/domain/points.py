"""Points, where a customer should hear of them: those that say sorry, and those that are about to expire.

That a purchase earned some, that a tier changed or that there is a birthday present is no mail: the statement shows it,
and news of that kind would be advertising. Sorry is said where the issue ends: its last notice is held back a moment,
and what we give goes into it; points that come later (a human decided) have a message of their own. What expires is
told once per day of expiry, and gathered on the 1st and the 15th of the month, so that many small purchases do not
become many messages.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from libs.common.decisions.facts import Anomaly, Facts, Ignored
from libs.common.decisions.fast_replace import replace
from libs.common.events.loyalty import PointsExpiring, PointsGranted, PointsWithheld
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Reason
from services.delivery_notify.domain.conversation import Conversation, Said
from services.delivery_notify.domain.issue_thread import Sorry, Talk
from services.delivery_notify.domain.notices import NoticeFacts, NoticeMade, Outcome, PointsDecided, notice_id
from services.delivery_notify.domain.preorders import PROGRESS_HOUR, next_half_month
from services.delivery_notify.domain.replacements import about, issue_facts, tell
from services.delivery_notify.policy.notification_rules import Rules

ENDINGS = frozenset({NoticeKind.ISSUE_RESOLVED, NoticeKind.REFUNDED})
"""The last notice of an issue is one of these."""

TIME_TO_SPEND = timedelta(days=14)
"""What is gathered leaves so long before the last day at the latest; what we hear of later than that, the next
morning."""


def tell_end(
    conversation: Conversation,
    talk: Talk,
    kind: NoticeKind,
    facts: NoticeFacts,
    now: datetime,
    rules: Rules,
    *,
    cause: tuple[object, ...],
) -> Outcome:
    """The last notice of an issue: with the points for it, or held back for them. A change of mind has none."""
    sorry = talk.sorry
    wait = timedelta(0) if sorry or talk.reason is Reason.CHANGED_MIND else rules.gather
    if sorry and not sorry.told:
        facts = _with(sorry, facts)
        conversation = conversation.with_talk(replace(talk, sorry=replace(sorry, told=True)))
    return tell(conversation, talk, kind, facts, now, cause=cause, wait=wait)


def granted(conversation: Conversation, event: PointsGranted, now: datetime, rules: Rules) -> Outcome:
    """Points for an issue: put into its last notice while that is held back, kept for it, or told by themselves."""
    if event.issue_id is None:
        return conversation, [Ignored("no_words_for_it")]
    if conversation.customer_id is not None and conversation.customer_id != event.customer_id:
        return conversation, [Anomaly("points_of_another_customer", f"{conversation.order_id} {event.issue_id}")]
    talk = conversation.talk(event.issue_id) or Talk(event.issue_id, event.customer_id, closed_by="resolved")
    if talk.sorry and talk.sorry.entry_id == event.entry_id:
        return conversation, [Ignored("points_known")]
    usable = rules.calendar.day(event.vests_at or event.granted_at)
    sorry = Sorry(event.entry_id, event.points, usable, event.expires_on)
    if ending := _held_back(conversation.said, talk, now + rules.margin):
        conversation = conversation.with_talk(replace(talk, sorry=replace(sorry, told=True)))
        conversation = conversation.with_said_again(replace(ending, due_at=now))
        return conversation, [PointsDecided(ending.notice_id, sorry.points, sorry.usable_from, sorry.usable_until)]
    talk = replace(talk, sorry=sorry)
    conversation = conversation.with_talk(talk)
    return say_sorry(conversation, talk, now) if talk.closed_by else (conversation, [])


def withheld(conversation: Conversation, event: PointsWithheld, now: datetime, rules: Rules) -> Outcome:
    """No points, or none yet: nothing to say, and nothing to wait for."""
    talk = conversation.talk(event.issue_id)
    if talk is None or talk.sorry or talk.customer_id != event.customer_id:
        return conversation, [Ignored("nothing_waits_for_it")]
    conversation = conversation.with_talk(replace(talk, sorry=Sorry(told=True)))
    ending = _held_back(conversation.said, talk, now + rules.margin)
    if ending is None:
        return conversation, []
    conversation = conversation.with_said_again(replace(ending, due_at=now))
    return conversation, [PointsDecided(ending.notice_id)]


def say_sorry(conversation: Conversation, talk: Talk, now: datetime) -> Outcome:
    """By itself, because the issue has ended, and its last notice has left."""
    if talk.sorry is None or talk.sorry.told:
        return conversation, []
    sorry = talk.sorry
    conversation = conversation.with_talk(replace(talk, sorry=replace(sorry, told=True)))
    facts = _with(sorry, NoticeFacts(day=sorry.usable_until, **issue_facts(conversation, talk)))
    return tell(conversation, talk, NoticeKind.POINTS_GRANTED, facts, now, cause=(sorry.entry_id,))


def _with(sorry: Sorry, facts: NoticeFacts) -> NoticeFacts:
    return replace(facts, points=sorry.points, usable_from=sorry.usable_from, usable_until=sorry.usable_until)


def _held_back(said: Iterable[Said], talk: Talk, until: datetime) -> Said | None:
    """The notice that ends this issue, if it does not leave before that moment."""
    endings = (each for each in said if each.kind in ENDINGS and each.about == about(talk.issue_id))
    return next((each for each in endings if each.held_back(until)), None)


def expiring(conversation: Conversation | None, event: PointsExpiring, now: datetime, rules: Rules) -> Facts:
    """A service notice and no more: so many points, their last day, all there is. `conversation` names the latest order
    of this customer, by which we know how to reach them; the state stays as it is."""
    if conversation is None:
        return (Ignored("nobody_to_tell"),)
    if event.expires_on < rules.calendar.day(now):
        return (Ignored("day_is_past"),)
    facts = NoticeFacts(
        day=event.expires_on,
        points=event.points,
        balance=event.balance,
        as_of=rules.calendar.day(event.told_at),
    )
    made = NoticeMade(
        notice_id(event.customer_id, NoticeKind.POINTS_EXPIRING, event.expires_on),
        conversation.order_id,
        event.customer_id,
        NoticeKind.POINTS_EXPIRING,
        facts,
        now,
        _when(event, now, rules),
        gathered=True,
    )
    return (made,)


def _when(event: PointsExpiring, now: datetime, rules: Rules) -> datetime:
    """On the next day of the gathering that leaves time to spend them; else the next morning, or at once on the day."""
    gathering = next_half_month(now, rules)
    if rules.calendar.day(gathering) + TIME_TO_SPEND <= event.expires_on:
        return gathering
    today = rules.calendar.day(now)
    morning = rules.calendar.moment(today, PROGRESS_HOUR)
    if morning < now:
        morning = rules.calendar.moment(today + timedelta(days=1), PROGRESS_HOUR)
    return morning if rules.calendar.day(morning) < event.expires_on else now
