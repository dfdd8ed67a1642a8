"""First ship date of a replacement: the warehouse's, where it answers in time.

The order leaves at once and names a date that is asked for. The customer is given no date before the answer: where it
takes longer than `first_date_seconds`, they are given the day by which the date follows. Without one by then staff are
asked, and after the second such day the customer chooses (`customer_choice`). A warehouse that is out of stock leads to
that choice as well, so that no date is announced and found impossible later. With `first_date_seconds = 0`, for a
warehouse that states no dates, the first date is the policy's.

Rejected: to hold the order until the stock is reserved (it would delay the shipment by a round trip), and to announce
the policy's date while the warehouse is silent (it breaks exactly where the stock is short).
"""

from datetime import date, datetime, timedelta

from services.returns.domain.context import CaseDecision
from services.returns.domain.state.outbound_leg import OutboundLeg
from services.returns.domain.state.review_causes import ReviewCause


def day_of_date(decision: CaseDecision) -> date:
    """Return the day by which the customer is given the date: open for the shop, and after a day of the warehouse."""
    days = decision.limits.first_date_open_days
    of_shop = decision.calendar.add_open_days(decision.today, days)
    return decision.calendar.next_open(max(of_shop, decision.warehouse.add_open_days(decision.today, days)))


def answer_awaited_until(decision: CaseDecision) -> datetime:
    """Return the time until which the first notice waits for the warehouse."""
    return decision.now + timedelta(seconds=decision.limits.first_date_seconds)


def date_deadline(decision: CaseDecision, leg: OutboundLeg) -> datetime:
    """Return the time at which a missing date is announced, on the day by which the customer was to have it."""
    limits, day = decision.limits, leg.date_known_by or decision.today
    # The second day is that of a review, which ends at its own hour.
    hour = min(limits.promise_hour, limits.review_hour) if leg.missed_promises else limits.first_date_hour
    return decision.calendar.moment(day, hour)


def miss_date(decision: CaseDecision) -> None:
    """Ask staff for the date; the customer is notified of their deadline as the day by which it follows now."""
    decision.open_review(ReviewCause.WAREHOUSE_SILENT)
    review = next(each for each in decision.case.reviews if each.cause is ReviewCause.WAREHOUSE_SILENT)
    known_by = decision.calendar.day(review.due_at or decision.review_deadline())
    decision.change_outbound(missed_promises=1, date_known_by=known_by)
    ends = date_deadline(decision, decision.case.outbound)
    decision.change_outbound(due_at=ends if ends > decision.now else decision.after(hours=1))
