"""Every staff decision in every state of a case: applied, or refused with a code whose text names field and remedy."""

from collections.abc import Callable

import pytest

from libs.common.events.values import Reason, Remedy, StaffAction
from libs.common.events.warehouse import ReplacementRejected
from services.returns.domain.handlers.staff_decisions import REFUSALS
from tests.returns.cases import ISSUE, CaseScenario, line, open_scenario
from tests.returns.test_staff_decisions import costly, resolved, say

A = StaffAction


def rejected() -> CaseScenario:
    scenario = open_scenario()
    scenario.apply(ReplacementRejected(issue_id=ISSUE, replacement_id=scenario.replacement_id))
    return scenario


def shipped() -> CaseScenario:
    scenario = open_scenario()
    scenario.ship()
    return scenario


def delivered() -> CaseScenario:
    scenario = shipped()
    scenario.deliver()
    return scenario


def collected() -> CaseScenario:
    scenario = delivered()
    scenario.collect()
    return scenario


def received() -> CaseScenario:
    scenario = collected()
    scenario.receive()
    return scenario


def cancelled() -> CaseScenario:
    scenario = open_scenario()
    assert say(scenario, A.CANCEL) is None
    return scenario


def waived() -> CaseScenario:
    scenario = shipped()
    assert say(scenario, A.WAIVE_COLLECTION) is None
    return scenario


def refunding() -> CaseScenario:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, line(), requested_remedy=Remedy.REFUND)
    assert scenario.known.money.refunds
    return scenario


def refunded() -> CaseScenario:
    scenario = refunding()
    scenario.pay()
    assert scenario.known.resolved_at
    return scenario


# Possible decisions by state; all others are refused. `CHOOSE_REMEDY` requests the refund, or for the replacement
# where the case is a refund already.
CAN: dict[Callable[[], CaseScenario], set[StaffAction]] = {
    costly: {A.ACCEPT, A.REJECT, A.CANCEL, A.CHOOSE_REMEDY, A.WAIVE_COLLECTION, A.APPROVE_REVIEW, A.REFUSE_REVIEW},
    open_scenario: {A.REJECT, A.CANCEL, A.CHOOSE_REMEDY, A.WAIVE_COLLECTION},
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
    state: Callable[[], CaseScenario], action: StaffAction
) -> None:
    scenario = state()
    before = scenario.known
    is_review = action in (A.APPROVE_REVIEW, A.REFUSE_REVIEW)
    remedy = Remedy.REPLACEMENT if before.plan.remedy is Remedy.REFUND else Remedy.REFUND
    code = say(scenario, action, "value" if is_review else None, remedy if action is A.CHOOSE_REMEDY else None)
    assert (code is None) == (action in CAN[state]), code
    if code:
        assert REFUSALS[code].startswith(("action: ", "review: ", "remedy: ", "issue_id: "))
        assert scenario.known == before
