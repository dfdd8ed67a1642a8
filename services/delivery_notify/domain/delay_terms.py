"""Consent clocks of delayed lines: the history of the lines as the market's law sees it."""

from collections.abc import Sequence
from datetime import date, timedelta

from libs.common.decisions.fast_replace import replace
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import SHIP, PromiseTrack
from services.delivery_notify.policy.consent_law import (
    ConsentClock,
    Delay,
    SilenceEffect,
    law_of,
    start_consent_clock,
)


def consent_clock(
    decision: ConversationDecision, track: PromiseTrack, lines: Sequence[Line], facts: NoticeFacts
) -> ConsentClock | None:
    """Return the clock of these lines together, that of the longest delay; None where the law gives no choice.

    A late delivery is a question only where the law says so: a parcel in transit is hard to call back.
    """
    conversation = decision.state
    if track is SHIP:
        return _ship_clock(decision, lines, facts)
    if not law_of(conversation.market).delivery_choice:
        return None
    broken = facts.previous_day or decision.today
    repeated = any(line.delivery.version > 2 for line in lines)
    essential = conversation.essential_date is not None
    delay = Delay(broken, broken, _revised(facts), repeated=repeated, essential=essential)
    return start_consent_clock(
        conversation.market, delay, decision.now, decision.now + timedelta(days=1), decision.rules
    )


def _revised(facts: NoticeFacts) -> date | None:
    """The new date that a notice states; None if it states only when the next update follows."""
    return facts.day if facts.next_update_by is None else None


def _ship_clock(decision: ConversationDecision, lines: Sequence[Line], facts: NoticeFacts) -> ConsentClock:
    conversation, now, today, revised = decision.state, decision.now, decision.today, _revised(facts)
    owed = [line.shipping.owed_day or today for line in lines]
    replaced = [line.shipping.last_announced_date or line.shipping.owed_day or today for line in lines]
    delay = Delay(
        applicable=min(line.shipping.first_day or today for line in lines),
        broken=min(replaced) if revised else min(owed),
        revised=revised,
        repeated=any(line.shipping.slips > (1 if revised else 0) for line in lines),
        accepted_open_wait=all(line.accepted_open_wait for line in lines),
        essential=conversation.essential_date is not None,
        lapses_at=min((line.consent_lapses_at for line in lines if line.consent_lapses_at), default=None),
    )
    notices = (line.shipping.notify_at for line in lines if line.shipping.notify_at)
    next_notice_at = max(min(notices, default=now + timedelta(days=1)), now + timedelta(hours=1))
    return start_consent_clock(conversation.market, delay, now, next_notice_at, decision.rules)


def keep_lapse(decision: ConversationDecision, lines: Sequence[Line], clock: ConsentClock) -> None:
    """Record when silence cancels these lines, so that a later notice does not postpone it."""
    lapses_at = clock.answer_by if clock.terms.silence_means is SilenceEffect.CANCELS else None
    decision.put_lines(replace(line, consent_lapses_at=lapses_at) for line in lines)
