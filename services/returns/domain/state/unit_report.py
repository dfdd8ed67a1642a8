"""Unit report: the counted units of a case by order line and leg, derived from the counts of the legs."""

from collections.abc import Iterable
from typing import Any

from services.returns.domain.state.case import Case
from services.returns.domain.state.inbound_leg import InboundLeg
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, missing
from services.returns.domain.state.money_leg import MoneyLeg, RefundStatus
from services.returns.domain.state.outbound_leg import OutboundLeg, OutboundStatus

CONFIRMED = (OutboundStatus.CONFIRMED,)
CANCELLED = (OutboundStatus.CANCELLED, OutboundStatus.REJECTED)


def unit_report(case: Case) -> dict[str, dict[str, Any]]:
    """Return by line the quantities of each leg; lines that were not reported come last."""
    outbound = _outbound_counts((*case.past_replacements, case.outbound))
    money = _money_counts(case.money)
    lines = dict.fromkeys([*case.reported_units, *case.inbound.received, *case.inbound.other_items])
    return {
        line: {
            "reported": case.reported_units.get(line, 0),
            "outbound": {name: counts.get(line, 0) for name, counts in outbound.items()},
            "inbound": _inbound_quantities(case.inbound, line),
            "money": {name: counts.get(line, 0) for name, counts in money.items()},
        }
        for line in lines
    }


def _outbound_counts(legs: Iterable[OutboundLeg]) -> dict[str, UnitCounts]:
    legs = tuple(legs)
    return {
        "ordered": _sum(leg.ordered for leg in legs if leg.replacement_id),
        "confirmed": _sum(missing(leg.ordered, leg.shipped) for leg in legs if leg.status in CONFIRMED),
        "shipped": _sum(leg.shipped for leg in legs),
        "delivered": _sum(leg.delivered for leg in legs),
        "cancelled": _sum(missing(leg.ordered, leg.shipped) for leg in legs if leg.status in CANCELLED),
    }


def _inbound_quantities(leg: InboundLeg, line: str) -> dict[str, Any]:
    requested = leg.requested_units.get(line, 0)
    return {
        "requested": requested,
        "booked": requested if leg.window_day else 0,
        "attempted": requested if leg.failed_attempts else 0,
        "collected": leg.collected.get(line, 0),
        "received": leg.received.get(line, 0),
        "other_items": leg.other_items.get(line, 0),
        "inspected": {condition.value: count for condition, count in leg.conditions.get(line, {}).items()},
    }


def _money_counts(leg: MoneyLeg) -> dict[str, UnitCounts]:
    return {
        "requested": leg.requested_units,
        "completed": _sum(refund.counts for refund in leg.refunds if refund.status is RefundStatus.COMPLETED),
        "failed": _sum(refund.counts for refund in leg.refunds if refund.status is RefundStatus.FAILED),
    }


def _sum(counts: Iterable[UnitCounts]) -> UnitCounts:
    total: UnitCounts = {}
    for each in counts:
        total = add_counts(total, each)
    return total
