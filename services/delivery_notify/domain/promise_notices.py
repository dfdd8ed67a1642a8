"""Notices about promises, and the questions that the market's law attaches to them."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain import prepaid_acceptance
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.customer_questions import QuestionTerms, ask, close_questions
from services.delivery_notify.domain.delay_terms import consent_clock, keep_lapse
from services.delivery_notify.domain.notice_creation import create_notice
from services.delivery_notify.domain.notices import NoticeFacts, PromiseNews
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import SHIP, PromiseTrack


def notify(
    decision: ConversationDecision,
    track: PromiseTrack,
    kind: NoticeKind,
    lines: Sequence[Line],
    facts: NoticeFacts,
    *,
    cause: tuple[str, ...],
    wait: timedelta,
    news: PromiseNews,
) -> None:
    """Create the notice, with a question where the law gives the customer a choice."""
    line_ids = tuple(line.line_id for line in lines)
    close_questions(decision, "superseded", lines=frozenset(line_ids), kinds=track.announced_by)
    date_promised = facts.day if facts.next_update_by is None else None
    clock = consent_clock(decision, track, lines, facts)
    if clock is None:
        create_notice(
            decision, kind, facts, cause=cause, subjects=line_ids, promised_date=date_promised, wait=wait, news=news
        )
        return
    facts = replace(facts, terms=clock.terms)
    if track is SHIP:
        keep_lapse(decision, lines, clock)
        facts = prepaid_acceptance.with_receipt(decision.state, facts)
    ask(
        decision,
        kind,
        facts,
        clock.answer_by,
        cause=cause,
        subjects=line_ids,
        terms=QuestionTerms(track.options, clock.default, default_reason=clock.default_reason, vests_on=clock.vests_on),
        promised_date=date_promised,
        wait=wait,
        news=news,
    )


def days(track: PromiseTrack, lines: Iterable[Line]) -> list[date]:
    return [day for line in lines if (day := track.of(line).day)]


def versions(track: PromiseTrack, lines: Iterable[Line]) -> tuple[str, ...]:
    return tuple(f"{line.line_id}:{track.of(line).version}" for line in lines)
