"""Notices about promises, and the questions that the market's law attaches to them."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain import prepaid_acceptance
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.customer_questions import Asked, ask, close_questions
from services.delivery_notify.domain.delay_terms import consent_clock, keep_lapse
from services.delivery_notify.domain.notices import News, NoticeFacts, Outcome, say
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import SHIP, PromiseTrack
from services.delivery_notify.policy.notification_rules import Rules


def notify(
    track: PromiseTrack,
    conversation: Conversation,
    kind: NoticeKind,
    lines: Sequence[Line],
    facts: NoticeFacts,
    now: datetime,
    rules: Rules,
    *,
    cause: tuple[str, ...],
    wait: timedelta,
    news: News,
) -> Outcome:
    """Make the notice, with a question where the law gives the customer a choice."""
    about = tuple(line.line_id for line in lines)
    closing, kinds = frozenset(about), track.announced_by
    conversation = close_questions(conversation, "newer_news", lines=closing, kinds=kinds)
    promised = facts.day if facts.next_word is None else None
    clock = consent_clock(track, conversation, lines, facts, now, rules)
    if clock is None:
        return say(
            conversation, kind, facts, now, cause=cause, about=about, promised_date=promised, wait=wait, news=news
        )
    facts = replace(facts, terms=clock.terms)
    if track is SHIP:
        conversation = keep_lapse(conversation, lines, clock)
        facts = prepaid_acceptance.added(conversation, facts)
    return ask(
        conversation,
        kind,
        facts,
        now,
        clock.answer_by,
        cause=cause,
        about=about,
        asked=Asked(track.options, clock.default, silence=clock.silence, vests_on=clock.vests_on),
        promised_date=promised,
        wait=wait,
        news=news,
    )


def days(track: PromiseTrack, lines: Iterable[Line]) -> list[date]:
    return [day for line in lines if (day := track.of(line).day)]


def versions(track: PromiseTrack, lines: Iterable[Line]) -> tuple[str, ...]:
    return tuple(f"{line.line_id}:{track.of(line).version}" for line in lines)
