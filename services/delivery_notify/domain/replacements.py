"""Dates of a replacement, each announced once. The returns service guards and renews them with timers of its own."""

from datetime import date
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import (
    IssueReplacementDelayed,
    IssueReplacementDeliveryChanged,
    IssueReplacementOrdered,
    IssueReplacementPartShipped,
    IssueReplacementPromised,
    IssueReplacementShipped,
    IssueReplacementTracked,
)
from libs.common.events.notices import NoticeKind, PromiseSubject
from libs.common.events.values import LineQuantity, Remedy
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.customer_questions import close_questions
from services.delivery_notify.domain.first_dates import await_date
from services.delivery_notify.domain.issue_notices import (
    PENDING_ISSUE_NOTICES,
    issue_facts,
    notify_issue,
    withdraw_issue,
)
from services.delivery_notify.domain.issue_thread import IssueThread, ReplacementShipment
from services.delivery_notify.domain.notices import NoticeFacts, NoticeLine, PromiseMade

SUPERSEDED_BY_DATE = PENDING_ISSUE_NOTICES - {NoticeKind.COLLECTION_BOOKED, NoticeKind.CHOICE_REQUESTED}
"""Superseded by a newer date of the replacement: older dates, among them that of the answer to the report."""

SUPERSEDED_BY_REPLACEMENT = PENDING_ISSUE_NOTICES - {NoticeKind.COLLECTION_BOOKED}
"""Superseded by another replacement or by its shipment: also the question about alternatives."""

SHIPMENT_NOTICES = frozenset({NoticeKind.REPLACEMENT_SHIPPED, NoticeKind.REPLACEMENT_PART_SHIPPED})

UNSHIPPED = "units_unshipped"
"""Cause of a new date for units that were announced as shipped."""


def on_replacement_ordered(decision: ConversationDecision, thread: IssueThread, event: IssueReplacementOrdered) -> None:
    """Announce the first definite date, or wait for it; if the report was not answered yet, this is the answer."""
    known, new_id = thread.replacement, event.replacement_id
    if new_id in thread.past_replacements or (known and known.replacement_id == new_id):
        decision.ignore("duplicate_replacement")
        return
    past = (*thread.past_replacements, known.replacement_id) if known else thread.past_replacements
    if event.date_known_by:
        thread = await_date(decision, thread, event, past)
        _supersede(decision, thread, "superseded", "promised")
        return
    first_answer = not thread.answered
    thread = _with_shipment(decision, thread, ReplacementShipment(new_id, event.promised_ship_date), past)
    _record(decision, thread, "issue.replacement_ordered")
    _supersede(decision, thread, "superseded", "promised")
    if first_answer:
        _accept(decision, thread, event.promised_ship_date, event.remedy)
        return
    facts = NoticeFacts(
        plan="replacement", day=event.promised_ship_date, remedy=event.remedy, **issue_facts(decision.state, thread)
    )
    notify_issue(decision, thread, NoticeKind.REPLACEMENT_PROMISED, facts, cause=(new_id, 0))


def _accept(decision: ConversationDecision, thread: IssueThread, day: date, remedy: Remedy | None) -> None:
    """Answer the report with the first ship date of the replacement."""
    facts = NoticeFacts(plan="replacement", day=day, remedy=remedy, **issue_facts(decision.state, thread))
    notify_issue(decision, thread, NoticeKind.ISSUE_ACCEPTED, facts, cause=(thread.issue_id,))


def on_replacement_dated(
    decision: ConversationDecision, thread: IssueThread, event: IssueReplacementPromised | IssueReplacementDelayed
) -> None:
    """Record a newer date, and announce it if it differs from the announced one."""
    known, replacement_id = thread.replacement, event.replacement_id
    if replacement_id in thread.past_replacements:
        decision.ignore("replacement_replaced")
        return
    same = known if known and known.replacement_id == replacement_id else None
    is_unshipped = isinstance(event, IssueReplacementDelayed) and event.cause == UNSHIPPED
    if same and ((same.shipped and not is_unshipped) or event.version <= same.confirmed_version):
        decision.ignore("older_promise")
        return
    if same and not same.is_undated and same.ship_date == event.ship_date:
        decision.ignore("same_promise")
        confirmed = replace(same, confirmed_version=event.version)
        _with_shipment(decision, thread, confirmed, thread.past_replacements)
        return
    past = (*thread.past_replacements, known.replacement_id) if known and not same else thread.past_replacements
    superseded = same.version if same else max(0, event.version - 1)
    shipment = ReplacementShipment(replacement_id, event.ship_date, event.version, event.version, superseded)
    if same:
        shipment = replace(shipment, times_unshipped=same.times_unshipped + is_unshipped)
    if is_unshipped:
        withdraw_issue(decision, event.issue_id, SHIPMENT_NOTICES, "unshipped")
    first_answer = same is not None and same.is_undated and not thread.answered
    thread = _with_shipment(decision, thread, shipment, past)
    _record(decision, thread, event.TYPE.removesuffix(".v1"))
    if same and first_answer:
        _accept(decision, thread, event.ship_date, same.remedy)
        return
    if known and not same:
        _supersede(decision, thread, "superseded", "promised")
    previous = event.previous_ship_date if isinstance(event, IssueReplacementDelayed) else None
    if same:
        previous = None if same.is_undated else same.ship_date
    _announce_date(decision, thread, shipment, previous)


def _announce_date(
    decision: ConversationDecision, thread: IssueThread, shipment: ReplacementShipment, before: date | None
) -> None:
    later = before is not None and shipment.ship_date > before
    kind = NoticeKind.REPLACEMENT_DELAYED if later else NoticeKind.REPLACEMENT_PROMISED
    facts = NoticeFacts(day=shipment.ship_date, previous_day=before, **issue_facts(decision.state, thread))
    withdraw_issue(decision, thread.issue_id, SUPERSEDED_BY_DATE, "superseded")
    notify_issue(decision, thread, kind, facts, cause=(shipment.replacement_id, shipment.version))


def on_replacement_shipped(decision: ConversationDecision, thread: IssueThread, event: IssueReplacementShipped) -> None:
    known = thread.replacement
    same = known if known and known.replacement_id == event.replacement_id else None
    if same and same.shipped:
        decision.ignore("already_shipped")
        return
    _supersede(decision, thread, "shipped", "shipped")
    shipment = same or ReplacementShipment(event.replacement_id, event.expected_delivery_date)
    shipped = replace(shipment, shipped=True, shipped_at=event.shipped_at, carrier=event.carrier)
    thread = _with_shipment(decision, thread, shipped, thread.past_replacements)
    facts = NoticeFacts(
        day=event.expected_delivery_date,
        carrier=event.carrier,
        tracking_number=event.tracking_number,
        **issue_facts(decision.state, thread),
    )
    again = (shipment.times_unshipped,) if shipment.times_unshipped else ()
    notify_issue(decision, thread, NoticeKind.REPLACEMENT_SHIPPED, facts, cause=(event.replacement_id, *again))


def on_replacement_tracked(decision: ConversationDecision, thread: IssueThread, event: IssueReplacementTracked) -> None:
    """Announce a tracking number that became known after the shipment was announced, or changed."""
    known = thread.replacement
    if event.tracking_number is None or event.tracking_number == event.previous_tracking_number:
        decision.ignore("no_tracking_number")
        return
    if known is None or known.replacement_id != event.replacement_id or not known.shipped:
        decision.ignore("shipment_not_announced")
        return
    facts = NoticeFacts(
        day=event.expected_delivery_date,
        carrier=event.carrier,
        tracking_number=event.tracking_number,
        **issue_facts(decision.state, thread),
    )
    withdraw_issue(decision, event.issue_id, frozenset({NoticeKind.REPLACEMENT_SHIPPED}), "superseded")
    cause = (event.replacement_id, event.tracking_number)
    notify_issue(decision, thread, NoticeKind.REPLACEMENT_SHIPPED, facts, cause=cause)


def on_replacement_part_shipped(
    decision: ConversationDecision, thread: IssueThread, event: IssueReplacementPartShipped
) -> None:
    """Announce a parcel that leaves before the others, with its own delivery day and the ship date of the rest."""
    known = thread.replacement
    if event.replacement_id in thread.past_replacements or (known and known.shipped):
        decision.ignore("replacement_replaced")
        return
    lines = tuple(named for line in event.lines for named in _named(thread, line))
    facts = NoticeFacts(
        day=event.expected_delivery_date,
        next_update_by=event.remaining_ship_date,
        carrier=event.carrier,
        tracking_number=event.tracking_number,
        **issue_facts(decision.state, thread),
    )
    facts = replace(facts, lines=lines)
    parcel = (event.replacement_id, event.shipped_at, *sorted(line.line_id for line in event.lines))
    notify_issue(decision, thread, NoticeKind.REPLACEMENT_PART_SHIPPED, facts, cause=parcel)


def on_replacement_delivery_changed(
    decision: ConversationDecision, thread: IssueThread, event: IssueReplacementDeliveryChanged
) -> None:
    """Announce another delivery day of a replacement that is on its way."""
    if event.replacement_id in thread.past_replacements:
        decision.ignore("replacement_replaced")
        return
    facts = NoticeFacts(
        day=event.expected_delivery_date,
        previous_day=event.previous_date,
        code=event.cause,
        **issue_facts(decision.state, thread),
    )
    withdraw_issue(decision, thread.issue_id, frozenset({NoticeKind.REPLACEMENT_DELIVERY_CHANGED}), "superseded")
    # By its time: a day that moves back and forth is news every time.
    cause = (event.replacement_id, event.previous_date, event.expected_delivery_date, event.changed_at)
    notify_issue(decision, thread, NoticeKind.REPLACEMENT_DELIVERY_CHANGED, facts, cause=cause)


def _named(thread: IssueThread, line: LineQuantity) -> list[NoticeLine]:
    """Return shipped units under their name, or the reported parts of them."""
    items = [item for item in thread.items if item.line_id == line.line_id]
    if not items:
        return [NoticeLine(line.line_id, line.quantity)]
    return [NoticeLine(item.name, item.quantity if item.is_part else line.quantity) for item in items]


def _with_shipment(
    decision: ConversationDecision, thread: IssueThread, shipment: ReplacementShipment, past: tuple[UUID, ...]
) -> IssueThread:
    thread = replace(thread, replacement=shipment, past_replacements=past, answered=True, pending=None, notify_at=None)
    decision.put_thread(thread)
    return thread


def _supersede(decision: ConversationDecision, thread: IssueThread, cause: str, closed_by: str) -> None:
    """Withdraw unsent notices and close questions that the replacement makes obsolete."""
    withdraw_issue(decision, thread.issue_id, SUPERSEDED_BY_REPLACEMENT, cause)
    close_questions(decision, closed_by, issue_id=thread.issue_id)


def _record(decision: ConversationDecision, thread: IssueThread, source: str) -> None:
    if shipment := thread.replacement:
        order_id, subject_id = decision.state.order_id, str(shipment.replacement_id)
        subject, day = PromiseSubject.REPLACEMENT, shipment.ship_date
        decision.emit(PromiseMade(order_id, subject, subject_id, shipment.version, day, source, decision.now))
