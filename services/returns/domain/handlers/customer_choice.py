"""Choice of the customer when a replacement cannot ship: options, a deadline and a default.

delivery_notify presents the choice and is the only source of the answer, also of the default after the deadline. A
timer here opens a review where no answer arrives at all.
"""

from datetime import date, timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueChoiceRequested
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import Choice, Remedy, Variant
from libs.common.events.warehouse import ReplacementCancelled, ReplacementRejected
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import case_closure, outbound, partial_shipments, refunds, shipments
from services.returns.domain.handlers.replacement_matching import (
    cancel_replacement,
    match_replacement,
    skip_past,
    skip_stale,
)
from services.returns.domain.state.case import ChoiceRequest, Shortage
from services.returns.domain.state.line_quantities import UnitCounts, missing
from services.returns.domain.state.outbound_leg import AWAITING_SHIPMENT, OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause


def rejected(decision: CaseDecision, event: ReplacementRejected) -> None:
    """Request a choice for units that the warehouse cannot ship; waiting means another order later."""
    if not match_replacement(decision, event) or skip_past(decision, *AWAITING_SHIPMENT) or skip_stale(decision):
        return
    unavailable = partial_shipments.unavailable_units(decision, event)
    if not unavailable:
        decision.anomaly("unknown_line_rejected")
        return
    decision.change_outbound(warehouse_updated_at=decision.effective_time)
    decision.close_reviews(ReviewCause.WAREHOUSE_SILENT)
    if unavailable == decision.case.outbound.ordered:
        partial_shipments.merge_shortage(decision)
        decision.change_outbound(status=OutboundStatus.REJECTED, due_at=None)
        decision.close_reviews(ReviewCause.NOT_SHIPPING, ReviewCause.DELIVERED_UNSHIPPED)
    else:
        partial_shipments.split_off(decision, unavailable)
        if not missing(decision.case.outbound.ordered, decision.case.outbound.shipped):
            shipments.complete_shipment(decision)
    variants = event.variants if len(_unavailable_units(decision)) == 1 else ()
    request_choice(decision, event.cause, event.restock_date, variants)


def _unavailable_units(decision: CaseDecision) -> UnitCounts:
    return decision.case.shortage.counts if decision.case.shortage else decision.case.outbound.ordered


def request_choice(
    decision: CaseDecision, cause: str, restock_date: date | None, variants: tuple[Variant, ...] = ()
) -> None:
    """Ask the customer to choose among the possible options, and announce the default."""
    number = decision.case.choice_request_count + 1
    day = decision.calendar.add_open_days(decision.today, decision.limits.choice_open_days)
    due_at = decision.calendar.moment(day, decision.limits.review_hour)
    restock = decision.warehouse.next_open(max(restock_date, decision.today)) if restock_date else None
    request = ChoiceRequest(
        choice_id=derived_id("choice", decision.case.issue_id, number),
        options=_options(decision, restock, variants),
        default=_default_choice(decision, restock, number),
        restock_date=restock,
        due_at=due_at,
        overdue_at=due_at + timedelta(days=1),
        variants=variants,
    )
    decision.change(choice_request=request, choice_request_count=number)
    decision.emit(
        IssueChoiceRequested(
            **decision.ids,
            choice_id=request.choice_id,
            cause=cause,
            options=request.options,
            default=request.default,
            restock_date=restock,
            variants=variants,
            due_at=due_at,
        )
    )


def on_outbound_timer(decision: CaseDecision) -> None:
    """Offer a choice after the second date without a shipment, in place of ever new dates; else go on as planned."""
    if not outbound.is_silent(decision):
        outbound.on_timer(decision)
        return
    leg = decision.case.outbound
    decision.open_review(ReviewCause.NOT_SHIPPING)
    decision.close_reviews(ReviewCause.WAREHOUSE_SILENT)
    decision.change_outbound(missed_promises=leg.missed_promises + 1, due_at=None)
    if decision.case.choice_request or decision.case.shortage:
        return
    wait_until = decision.warehouse.add_open_days(decision.today, decision.limits.silent_wait_open_days)
    if leg.shipped:
        ids = {"replacement_id": leg.replacement_id, "cause": "not_shipping", "cancelled_at": decision.now}
        decision.emit(ReplacementCancelled(**decision.ids, **ids))
        partial_shipments.split_off(decision, missing(leg.ordered, leg.shipped))
        shipments.complete_shipment(decision)
    request_choice(decision, "not_shipping", wait_until)


def _options(decision: CaseDecision, restock: date | None, variants: tuple[Variant, ...]) -> tuple[Choice, ...]:
    """Return the options: waiting needs a restock date, a change needs variants, a refund is always possible.

    Cancelling is offered without a restock date, for the whole replacement, while nothing has shipped.
    """
    wait = (Choice.WAIT,) if restock else ()
    change = (Choice.CHANGE,) if variants else ()
    can_cancel = not restock and decision.case.shortage is None and case_closure.is_cancellable(decision.case)
    return (*wait, *change, Choice.REFUND, *((Choice.CANCEL,) if can_cancel else ()))


def _default_choice(decision: CaseDecision, restock: date | None, number: int) -> Choice:
    """Return waiting for the first request with a near restock date, else the refund."""
    last_day = decision.today + timedelta(days=decision.limits.wait_if_restock_within_days)
    is_soon = restock is not None and restock <= last_day
    return Choice.WAIT if is_soon and number == 1 else Choice.REFUND


def decided(decision: CaseDecision, event: CustomerDecided) -> None:
    request = decision.case.choice_request
    if request is None or event.choice_id != request.choice_id:
        decision.ignore("choice_closed")
    elif event.choice not in request.options:
        decision.anomaly("choice_not_offered")
    elif event.choice is Choice.CHANGE and _find_variant(request, event.requested_sku) is None:
        decision.anomaly("variant_not_offered")
    else:
        apply_choice(decision, request, event.choice, _find_variant(request, event.requested_sku))


def _find_variant(request: ChoiceRequest, sku: str | None) -> Variant | None:
    return next((variant for variant in request.variants if variant.sku == sku), None)


def apply_choice(
    decision: CaseDecision, request: ChoiceRequest, choice: Choice, variant: Variant | None = None
) -> None:
    """Apply the choice; one that became impossible leaves the request open and asks staff."""
    match choice:
        case Choice.WAIT:
            _close_request(decision)
            restock = decision.warehouse.next_open(max(request.restock_date or decision.today, decision.today))
            _reorder(decision, restock, None)
        case Choice.CHANGE if variant:
            _close_request(decision)
            _reorder(decision, None, variant)
        case Choice.REFUND if decision.case.shortage:
            _close_request(decision)
            _close_silence(decision)
            refunds.refund_unavailable(decision, decision.case.shortage.counts)
            decision.change(shortage=None)
            shipments.complete_without_shortage(decision)
        case Choice.REFUND:
            _close_request(decision)
            _close_silence(decision)
            cancel_replacement(decision, "refund_chosen")
            decision.switch_remedy(Remedy.REFUND)
        case Choice.CANCEL if case_closure.is_cancellable(decision.case):
            _close_request(decision)
            case_closure.cancel(decision, "customer_choice")
        case _:
            decision.anomaly("choice_impossible")
            decision.open_review(ReviewCause.NO_DECISION)


def _reorder(decision: CaseDecision, ship_date: date | None, variant: Variant | None) -> None:
    """Order a rejected replacement again; a shortage is ordered once the first part is delivered."""
    leg = decision.case.outbound
    if decision.case.shortage is None and leg.status in AWAITING_SHIPMENT and ship_date and variant is None:
        # A date that came while the customer chose is newer than that of the choice.
        if not leg.is_dated or leg.promises[-1].ship_date <= decision.today:
            outbound.extend_promise(decision, ship_date)
    elif decision.case.shortage:
        decision.change(shortage=Shortage(decision.case.shortage.counts, ship_date, variant, is_decided=True))
    else:
        outbound.order_replacement(decision, decision.case.outbound.ordered, ship_date, variant)


def _close_silence(decision: CaseDecision) -> None:
    """Close the reviews of an order that does not ship: none is expected to any more."""
    decision.close_reviews(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING)


def _close_request(decision: CaseDecision) -> None:
    decision.change(choice_request=None)
    decision.close_reviews(ReviewCause.NO_DECISION)


def on_timer(decision: CaseDecision) -> None:
    """Open a review for a choice that is overdue although delivery_notify should have applied the default."""
    request = decision.case.choice_request
    if request:
        decision.open_review(ReviewCause.NO_DECISION)
        decision.change(choice_request=replace(request, overdue_at=decision.after(days=1)))
