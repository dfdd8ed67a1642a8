"""Outbound leg, changes of a parcel that arrive before its shipment: they are kept, and count when it ships."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from libs.common.decisions.fast_replace import replace
from libs.common.events.values import LineQuantity
from libs.common.events.warehouse import ReplacementShipmentChanged, ReplacementShipped
from services.returns.domain.context import CaseDecision
from services.returns.domain.state.outbound_leg import SHIPPED_OR_DELIVERED, Parcel

MAX_EARLY_CHANGES = 20
"""Changes kept per replacement; those beyond it are left to staff."""


def takes_all_out(event: ReplacementShipmentChanged) -> bool:
    """Return whether nothing is left in a parcel after this change."""
    return event.called_off or (event.lines is not None and not any(line.quantity for line in event.lines))


def keep_change(decision: CaseDecision, event: ReplacementShipmentChanged) -> None:
    """Keep a change for its shipment; where no shipment is awaited, staff see it as well."""
    leg, parcel_id = decision.case.outbound, event.shipment_id or ""
    called_off_at = leg.called_off.get(parcel_id)
    if event in leg.early_changes or (called_off_at and event.changed_at <= called_off_at):
        decision.ignore("stale")
        return
    is_ambiguous = event.shipment_id is None and bool(leg.parcels)
    if decision.case.is_closed or is_ambiguous or len(leg.early_changes) >= MAX_EARLY_CHANGES:
        decision.anomaly("unknown_shipment")
        return
    if takes_all_out(event):
        decision.change_outbound(called_off={**leg.called_off, parcel_id: event.changed_at})
    else:
        decision.change_outbound(early_changes=(*leg.early_changes, event))
    if leg.status in SHIPPED_OR_DELIVERED:
        decision.anomaly("unknown_shipment")


def with_early_changes(decision: CaseDecision, event: ReplacementShipped, parcel_id: str) -> ReplacementShipped:
    """Return the shipment as the newest changes of its parcel have it."""
    known = _changes_of(decision, parcel_id)
    stated: dict[str, Any] = {}
    for change in known:
        if change.lines is not None:
            units = [each for each in change.lines if each.quantity]
            stated["lines"] = tuple(LineQuantity(line_id=each.line_id, quantity=each.quantity) for each in units)
        for name in ("carrier", "tracking_number", "expected_delivery_date"):
            if value := getattr(change, name):
                stated[name] = value
    return event.model_copy(update=stated) if stated else event


def forget_early_changes(decision: CaseDecision, parcel: Parcel) -> None:
    """Remove the changes that count in a parcel now, and remember their times, so that older ones are stale."""
    leg, known = decision.case.outbound, _changes_of(decision, parcel.parcel_id)
    if not known:
        return
    after = replace(
        parcel,
        changed_at=_newest(each.changed_at for each in known if each.lines is not None),
        tracked_at=_newest(each.changed_at for each in known if each.carrier or each.tracking_number),
        dated_at=_newest(each.changed_at for each in known if each.expected_delivery_date),
    )
    parcels, spare = (
        tuple(after if each is parcel else each for each in parcels) for parcels in (leg.parcels, leg.spare)
    )
    others = tuple(each for each in leg.early_changes if each not in known)
    decision.change_outbound(parcels=parcels, spare=spare, early_changes=others)


def _changes_of(decision: CaseDecision, parcel_id: str) -> list[ReplacementShipmentChanged]:
    known = [each for each in decision.case.outbound.early_changes if (each.shipment_id or "") == parcel_id]
    return sorted(known, key=lambda each: each.changed_at)


def _newest(times: Iterable[datetime]) -> datetime | None:
    return max(times, default=None)
