"""The counted units of a case, per line and leg: what people read when they ask where the pieces are.

Derived whenever it is asked for; what is stored are the counts of the legs, and no total beside them.
"""

from collections.abc import Iterable
from typing import Any

from services.returns.domain.case import Case
from services.returns.domain.legs.money import RefundStatus
from services.returns.domain.legs.outbound import OutboundStatus
from services.returns.domain.line_quantities import Counts, added, missing

CONFIRMED = (OutboundStatus.CONFIRMED,)


def quantities(case: Case) -> dict[str, dict[str, Any]]:
    """By line: outbound, inbound and money, each with its own quantities; lines that nobody reported come last."""
    legs = (*case.formers, case.outbound)
    wanted = _sum(leg.ordered for leg in legs if leg.replacement_id)
    shipped, delivered = _sum(leg.shipped for leg in legs), _sum(leg.delivered for leg in legs)
    stopped = (OutboundStatus.CANCELLED, OutboundStatus.REJECTED)
    cancelled = _sum(missing(leg.ordered, leg.shipped) for leg in legs if leg.status in stopped)
    confirmed = _sum(missing(leg.ordered, leg.shipped) for leg in legs if leg.status in CONFIRMED)
    refunds = case.money.refunds
    completed = _sum(one.counts for one in refunds if one.status is RefundStatus.COMPLETED)
    failed = _sum(one.counts for one in refunds if one.status is RefundStatus.FAILED)
    back = case.inbound
    lines = dict.fromkeys([*case.reported, *back.received, *back.foreign])
    return {
        line: {
            "reported": case.reported.get(line, 0),
            "outbound": {
                "ordered": wanted.get(line, 0),
                "confirmed": confirmed.get(line, 0),
                "shipped": shipped.get(line, 0),
                "delivered": delivered.get(line, 0),
                "cancelled": cancelled.get(line, 0),
            },
            "inbound": {
                "requested": back.asked.get(line, 0),
                "booked": back.asked.get(line, 0) if back.window_day else 0,
                "attempted": back.asked.get(line, 0) if back.failures else 0,
                "collected": back.collected.get(line, 0),
                "received": back.received.get(line, 0),
                "foreign": back.foreign.get(line, 0),
                "inspected": {kind.value: count for kind, count in back.conditions.get(line, {}).items()},
            },
            "money": {
                "requested": case.money.asked.get(line, 0),
                "completed": completed.get(line, 0),
                "failed": failed.get(line, 0),
            },
        }
        for line in lines
    }


def _sum(counts: Iterable[Counts]) -> Counts:
    total: Counts = {}
    for each in counts:
        total = added(total, each)
    return total
