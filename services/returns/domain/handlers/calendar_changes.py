"""A changed calendar: ship dates and collections on days that are closed now move to the next open day."""

from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import inbound, outbound
from services.returns.domain.state.outbound_leg import AWAITING_SHIPMENT


def on_calendar_changed(decision: CaseDecision) -> None:
    if decision.case.is_closed:
        decision.ignore("case_closed")
        return
    leg = decision.case.outbound
    if leg.status in AWAITING_SHIPMENT and leg.promises:
        day = leg.promises[-1].ship_date
        if day >= decision.today and not decision.warehouse.is_open(day):
            outbound.move_promise(decision, decision.warehouse.next_open(day))
    visit = decision.case.inbound.window_day or decision.case.inbound.earliest_date
    if visit and visit >= decision.today:
        inbound.postpone(decision, decision.carrier.next_open(visit))
