"""Every decision of staff in every state of a case: done, or refused by a code whose words name field and remedy."""

from collections.abc import Callable

import pytest

from libs.common.events.values import Reason, Remedy, StaffAction
from libs.common.events.warehouse import ReplacementRejected
from services.returns.domain.handlers.staff_decisions import REFUSALS
from tests.returns.cases import ISSUE, Story, line, story
from tests.returns.test_staff_decisions import costly, resolved, say

A = StaffAction


def rejected() -> Story:
    told = story()
    told.take(ReplacementRejected(issue_id=ISSUE, replacement_id=told.replacement_id))
    return told


def shipped() -> Story:
    told = story()
    told.ship()
    return told


def delivered() -> Story:
    told = shipped()
    told.deliver()
    return told


def collected() -> Story:
    told = delivered()
    told.collect()
    return told


def received() -> Story:
    told = collected()
    told.receive()
    return told


def cancelled() -> Story:
    told = story()
    assert say(told, A.CANCEL) is None
    return told


def waived() -> Story:
    told = shipped()
    assert say(told, A.WAIVE_COLLECTION) is None
    return told


def refunding() -> Story:
    told = story(Reason.LOST_IN_TRANSIT, line(), requested_remedy=Remedy.REFUND)
    assert told.known.money.refunds
    return told


def refunded() -> Story:
    told = refunding()
    told.pay()
    assert told.known.resolved_at
    return told


# Per state, what can be done; everything else is refused. `CHOOSE_REMEDY` asks for the refund, or for the replacement
# where the case is a refund already.
CAN: dict[Callable[[], Story], set[StaffAction]] = {
    costly: {A.ACCEPT, A.REJECT, A.CANCEL, A.CHOOSE_REMEDY, A.WAIVE_COLLECTION, A.APPROVE_REVIEW, A.REFUSE_REVIEW},
    story: {A.REJECT, A.CANCEL, A.CHOOSE_REMEDY, A.WAIVE_COLLECTION},
    rejected: {A.REJECT, A.CANCEL, A.CHOOSE_REMEDY, A.WAIVE_COLLECTION},
    shipped: {A.WAIVE_COLLECTION},
    delivered: {A.WAIVE_COLLECTION},
    collected: set(),
    received: set(),
    waived: set(),
    refunding: set(),
    resolved: {A.REOPEN, A.CHOOSE_REMEDY},
    refunded: set(),
    cancelled: set(),
}


@pytest.mark.parametrize("action", A)
@pytest.mark.parametrize("state", CAN)
def test_every_decision_in_every_state_is_done_or_refused_by_name(
    state: Callable[[], Story], action: StaffAction
) -> None:
    told = state()
    before = told.known
    is_review = action in (A.APPROVE_REVIEW, A.REFUSE_REVIEW)
    remedy = Remedy.REPLACEMENT if before.plan.remedy is Remedy.REFUND else Remedy.REFUND
    code = say(told, action, "value" if is_review else None, remedy if action is A.CHOOSE_REMEDY else None)
    assert (code is None) == (action in CAN[state]), code
    if code:
        assert REFUSALS[code].startswith(("action: ", "review: ", "remedy: ", "issue_id: "))
        assert told.known == before
