"""Reports that stand but for something the customer has to tell or show: asked for, reminded of, and never lost. Pure.

- Nobody is asked for what comes by itself: a report rests for some minutes first, since its photo may be on its way.
- Asked once for all that is missing, until a definite day, and reminded of it. The pieces are taken meanwhile.
- Once all is there it is accepted, whoever brought it. Nothing is asked for twice.
- Nothing came: a human decides by a definite day, or it is closed with words; what comes later opens it again.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.decisions.facts import CancelTimer, Facts, Ignored, Record, SetTimer
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueDetailsProvided, IssueDetailsRequested, IssueReviewRequested
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Remedy
from services.intake.domain import issue_acceptance
from services.intake.domain.eligibility import Refusal, examine
from services.intake.domain.issue_acceptance import IssueChanged, ReportRefused
from services.intake.domain.orders import HeldReport, Need, OrderContext, Report, Silence, Stage, StoredPhoto, Unit
from services.intake.policy.eligibility_rules import Rules
from services.intake.policy.required_details import Terms, lacking

REVIEW_CAUSE = "details_missing"
"""The cause of the review that a report leads to whose customer did not answer."""

_NOTHING_CAME = (
    "what we asked for has not come, so the report was closed; send it at any time and the report is opened again"
)


class DetailsGiven(Payload):
    """Photos, names of missing parts (by line) or a description, for an issue that exists. Never leaves intake."""

    TYPE: ClassVar = "details.given.v1"

    issue_id: UUID
    order_id: str
    photos: tuple[StoredPhoto, ...] = ()
    parts: dict[str, str] = Field(default_factory=dict)
    description: str | None = None
    most_photos: int = 50


@dataclass(frozen=True, slots=True)
class PhotosKept(Record):
    """Rows of photos that an issue has from now on."""

    issue_id: UUID
    photos: tuple[StoredPhoto, ...]
    kept_at: datetime


def timer_name(issue_id: UUID) -> str:
    return f"details:{issue_id}"


def missing_from(terms: Terms | None, report: Report) -> tuple[Need, ...]:
    return lacking(terms.needs, report.said, report.said.photos) if terms else ()


def hold(
    book: OrderContext, report: Report, units: tuple[Unit, ...], terms: Terms, now: datetime, rules: Rules
) -> tuple[OrderContext, Facts]:
    """A new report that lacks something: nobody is asked yet."""
    missing, due_at = missing_from(terms, report), now + rules.needs.quiet
    book, facts = issue_acceptance.file(book, report, units, rules, missing)
    held = HeldReport(report, missing, terms.when_silent, due_at, issue_acceptance.decide_by(report, rules))
    return book.with_held(held), [*facts, SetTimer(timer_name(report.issue_id), due_at)]


def review(
    book: OrderContext, report: Report, units: tuple[Unit, ...], now: datetime, rules: Rules
) -> tuple[OrderContext, Facts]:
    """A new report that only a human can tell what to do about."""
    book, facts = issue_acceptance.file(book, report, units, rules)
    held = HeldReport(report, (), Silence.REVIEW, now, issue_acceptance.decide_by(report, rules))
    book, asked = _put_before_a_human(book, held, now, rules)
    return book, [*facts, *asked]


def answer_by(now: datetime, rules: Rules) -> datetime:
    """Until when a customer who is asked now may answer."""
    return rules.hours.end_of_open_day(now, rules.needs.answer_open_days)


# --- asking, reminding, ending -------------------------------------------------------------------------------------


def wake(book: OrderContext, held: HeldReport, now: datetime, rules: Rules) -> tuple[OrderContext, Facts]:
    """Its timer fired."""
    match held.stage:
        case Stage.QUIET:
            asked = replace(held, stage=Stage.ASKED, due_at=answer_by(now, rules), asked_at=now)
            return _ask(book, asked, now, rules)
        case Stage.ASKED if now < held.due_at:
            return _ask(book, replace(held, reminders=held.reminders + 1), now, rules)
        case Stage.ASKED if held.when_silent is Silence.CLOSE:
            return turn_down(book, held, Refusal(REVIEW_CAUSE, "details", _NOTHING_CAME), now)
        case Stage.ASKED | Stage.REVIEW:
            return _put_before_a_human(book, held, now, rules)
        case Stage.CLOSED:
            return book, [Ignored("report_closed")]


def _ask(book: OrderContext, held: HeldReport, now: datetime, rules: Rules) -> tuple[OrderContext, Facts]:
    said = held.report.said
    request = IssueDetailsRequested(
        issue_id=held.report.issue_id,
        order_id=said.order_id,
        customer_id=said.customer_id,
        missing=tuple(need.value for need in held.missing),
        due_at=held.due_at,
        reason=said.reason,
        lines=issue_acceptance.issue_lines(book.order, said.lines),
        reminder=held.reminders,
        requested_at=now,
    )
    next_at = _next_reminder(held, now, rules)
    return book.with_held(held), [request, SetTimer(timer_name(held.report.issue_id), next_at)]


def _next_reminder(held: HeldReport, now: datetime, rules: Rules) -> datetime:
    calendar, asked_at = rules.hours.calendar, held.asked_at or now
    days = (rules.hours.open_day(asked_at, count) for count in rules.needs.remind_open_days)
    moments = (calendar.moment(day, rules.hours.opens) for day in days)
    return min((at for at in moments if now < at < held.due_at), default=held.due_at)


def _put_before_a_human(
    book: OrderContext, held: HeldReport, now: datetime, rules: Rules
) -> tuple[OrderContext, Facts]:
    """Also where the human was late: the customer was told a day, and hears a new one."""
    due_at = rules.hours.end_of_open_day(now, rules.needs.review_open_days)
    said = held.report.said
    review = IssueReviewRequested(
        issue_id=held.report.issue_id,
        order_id=said.order_id,
        customer_id=said.customer_id,
        cause=REVIEW_CAUSE,
        due_at=due_at,
    )
    after = book.with_held(replace(held, stage=Stage.REVIEW, due_at=due_at))
    return after, [review, SetTimer(timer_name(held.report.issue_id), due_at)]


def turn_down(book: OrderContext, held: HeldReport, refusal: Refusal, now: datetime) -> tuple[OrderContext, Facts]:
    """It does not stand for now: its pieces are free, and it waits closed for what may come later."""
    issue_id = held.report.issue_id
    left = {unit: holder for unit, holder in book.held.items() if holder != issue_id}
    after = replace(book, held=left).with_held(replace(held, stage=Stage.CLOSED)).refiled(held.report, refusal.code)
    changed = IssueChanged(held.report, now, refusal.code, held.missing, held.decide_by, frees=True)
    return after, [changed, issue_acceptance.rejected(held.report, refusal, now), CancelTimer(timer_name(issue_id))]


# --- what comes ----------------------------------------------------------------------------------------------------


def take(
    book: OrderContext | None, given: DetailsGiven, now: datetime, rules: Rules
) -> tuple[OrderContext | None, Facts]:
    """Photos are kept for every issue; words are for a report that lacks them."""
    filed = book.filed.get(given.issue_id) if book else None
    if book is None or filed is None:
        return book, [_refused("unknown_issue", "issue_id", "is not known; send the id that the report was given")]
    new = tuple({one.sha256: one for one in given.photos if one.sha256 not in filed.photos}.values())
    if len(filed.photos) + len(new) > given.most_photos:
        return book, [_refused("too_many_photos", "photos", f"an issue holds {given.most_photos}; leave some out")]
    held = book.held_report(given.issue_id)
    if held is None and (given.parts or given.description):
        return book, [_refused("nothing_missing", "issue_id", "this report lacks nothing; nothing was changed")]
    unknown = next((line for line in given.parts if line not in {one.line_id for one in filed.report.said.lines}), None)
    if unknown is not None:
        return book, [_refused("unknown_line", "lines", f"{unknown!r} was not reported; name a line of the report")]
    photos = filed.photos | {one.sha256 for one in new}
    book = replace(book, filed={**book.filed, given.issue_id: replace(filed, photos=photos)})
    kept = [PhotosKept(given.issue_id, new, now)] if new else []
    if held is None:
        return book, kept
    book, facts = _provide(book, held, given, photos, now, rules)
    return book, [*kept, *facts]


def _refused(code: str, field: str, message: str) -> ReportRefused:
    return ReportRefused(Refusal(code, field, message))


def _provide(
    book: OrderContext, held: HeldReport, given: DetailsGiven, photos: frozenset[str], now: datetime, rules: Rules
) -> tuple[OrderContext, Facts]:
    said = _completed(held.report.said, given)
    still = lacking(held.missing, said, photos)
    provided = tuple(need for need in held.missing if need not in still)
    held = replace(held, report=replace(held.report, said=said), missing=still)
    if not provided:
        return book.with_held(held), [Ignored("not_what_is_missing")]
    told = [_told(held, provided, now)] if held.asked_at else []
    if still:
        changed = IssueChanged(held.report, now, _refusal_code(held), still, held.decide_by)
        return book.with_held(held), [changed, *told]
    book, facts = stand(book, held, now, rules)
    return book, facts if any(isinstance(fact, ReportRefused) for fact in facts) else [*told, *facts]


def _completed(said: IssueSubmitted, given: DetailsGiven) -> IssueSubmitted:
    lines = tuple(
        line.model_copy(update={"part": given.parts[line.line_id]}) if line.line_id in given.parts else line
        for line in said.lines
    )
    return said.model_copy(update={"lines": lines, "description": given.description or said.description})


def _told(held: HeldReport, provided: tuple[Need, ...], now: datetime) -> IssueDetailsProvided:
    return IssueDetailsProvided(
        issue_id=held.report.issue_id,
        order_id=held.report.said.order_id,
        customer_id=held.report.said.customer_id,
        provided=tuple(need.value for need in provided),
        missing=tuple(need.value for need in held.missing),
        provided_at=now,
    )


def _refusal_code(held: HeldReport) -> str | None:
    return REVIEW_CAUSE if held.stage is Stage.CLOSED else None


def stand(
    book: OrderContext, held: HeldReport, now: datetime, rules: Rules, requested_remedy: Remedy | None = None
) -> tuple[OrderContext, Facts]:
    """Accept it. Once it was closed its pieces may have gone to another report: then that one is named."""
    report = held.report
    takes: tuple[Unit, ...] = ()
    if requested_remedy:
        report = replace(report, said=report.said.model_copy(update={"requested_remedy": requested_remedy}))
    units: tuple[Unit, ...] | Refusal = book.units_of(report.issue_id)
    if held.stage is Stage.CLOSED:
        units = examine(book, report, rules.hours.calendar.day(report.reported_at), rules)
        if isinstance(units, Refusal):
            return book.with_held(held), [ReportRefused(units)]
        takes = units
    assert not isinstance(units, Refusal)
    book = book.without_held(report.issue_id).refiled(report, None)
    book = replace(book, held={**book.held, **dict.fromkeys(units, report.issue_id)})
    changed = IssueChanged(report, now, decide_by=_clock_runs_again(held, now, rules), takes=takes)
    accepted = issue_acceptance.accepted(book, report, units, now, rules)
    return book, [changed, accepted, CancelTimer(timer_name(report.issue_id))]


def _clock_runs_again(held: HeldReport, now: datetime, rules: Rules) -> datetime:
    """The shop's clock stood while the customer owed an answer; what was left of it is left."""
    if held.asked_at is None:
        return held.decide_by
    return rules.hours.after(now, rules.hours.between(held.asked_at, held.decide_by))
