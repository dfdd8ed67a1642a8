"""Consent clocks of delayed lines: the lines' history as the market's law sees it."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from libs.common.decisions.fast_replace import replace
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import SHIP, PromiseTrack
from services.delivery_notify.policy import consent_law
from services.delivery_notify.policy.notification_rules import Rules


def consent_clock(
    track: PromiseTrack,
    conversation: Conversation,
    lines: Sequence[Line],
    facts: NoticeFacts,
    now: datetime,
    rules: Rules,
) -> consent_law.Clock | None:
    """Return the clock of these lines together, that of the longest delay; None where the law gives no choice.

    A late delivery is a question only where the law says so: a parcel in transit is hard to call back.
    """
    if track is SHIP:
        return _ship_clock(conversation, lines, facts, now, rules)
    if not consent_law.law_of(conversation.market).arrival_choice:
        return None
    broken = facts.previous_day or rules.calendar.day(now)
    repeated = any(line.delivery.version > 2 for line in lines)
    essential = conversation.essential is not None
    slip = consent_law.Slip(broken, broken, _revised(facts), repeated=repeated, essential=essential)
    return consent_law.consent(conversation.market, slip, now, now + timedelta(days=1), rules)


def _revised(facts: NoticeFacts) -> date | None:
    """The new date that a notice states; None if it states only when the next update follows."""
    return facts.day if facts.next_word is None else None


def _ship_clock(
    conversation: Conversation, lines: Sequence[Line], facts: NoticeFacts, now: datetime, rules: Rules
) -> consent_law.Clock:
    today, revised = rules.calendar.day(now), _revised(facts)
    owed = [line.shipping.owed_day or today for line in lines]
    replaced = [line.shipping.last_announced_date or line.shipping.owed_day or today for line in lines]
    slip = consent_law.Slip(
        applicable=min(line.shipping.first_day or today for line in lines),
        broken=min(replaced) if revised else min(owed),
        revised=revised,
        repeated=any(line.shipping.slips > (1 if revised else 0) for line in lines),
        patient=all(line.accepted_open_wait for line in lines),
        essential=conversation.essential is not None,
        lapses_at=min((line.consent_lapses_at for line in lines if line.consent_lapses_at), default=None),
    )
    next_notice = (line.shipping.notify_at for line in lines if line.shipping.notify_at)
    speaks = max(min(next_notice, default=now + timedelta(days=1)), now + timedelta(hours=1))
    return consent_law.consent(conversation.market, slip, now, speaks, rules)


def keep_lapse(conversation: Conversation, lines: Sequence[Line], clock: consent_law.Clock) -> Conversation:
    """Record when silence cancels these lines, so that a later notice does not postpone it."""
    lapses_at = clock.answer_by if clock.terms.silence is consent_law.Silence.CANCELS else None
    for line in lines:
        conversation = conversation.with_line(replace(line, consent_lapses_at=lapses_at))
    return conversation
