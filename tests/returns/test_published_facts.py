"""Milestones rebuilt from a case: each was published before, with the same content."""

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.reconciliation.milestones import key_of
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueEvent, IssueResolved
from libs.common.events.values import Reason
from services.returns.domain.published_facts import published_facts
from tests.examples import examples
from tests.returns.cases import CaseScenario, open_scenario
from tests.returns.random_histories import reports, steps, tell

ESTIMATED = {"cause", "ordered_at", "reopened_at", "refunded_at", "requested_at", "kept_lines", "lines", "amount"}
"""Fields that a case does not keep, or keeps as they are by now."""


def published(scenario: CaseScenario) -> dict[tuple[str, ...], Payload]:
    return {key_of(fact): fact for fact in scenario.facts if isinstance(fact, IssueEvent)}


@settings(max_examples=examples(600), deadline=None)
@given(reports, st.lists(steps, min_size=5, max_size=40))
def test_a_case_never_claims_an_event_that_it_did_not_publish(report: Payload, history: list[object]) -> None:
    scenario = CaseScenario()
    scenario.apply(report)

    def check(scenario: CaseScenario) -> None:
        known = published(scenario)
        for fact in published_facts(scenario.known):
            assert key_of(fact.payload) in known

    tell(scenario, history, check)


def test_the_rebuilt_milestones_of_a_replacement_equal_the_published_ones() -> None:
    scenario = open_scenario(Reason.DEFECTIVE)
    scenario.confirm(date(2026, 3, 11))
    for step in (scenario.ship, scenario.deliver, scenario.collect, scenario.receive, scenario.inspect):
        scenario.later(hours=3)
        step()
    known, rebuilt = published(scenario), [fact.payload for fact in published_facts(scenario.known)]
    for payload in rebuilt:
        fields = set(type(payload).model_fields) - ESTIMATED
        assert payload.model_dump(include=fields) == known[key_of(payload)].model_dump(include=fields)
    assert isinstance(rebuilt[-1], IssueResolved)
    assert [payload.TYPE.split(".")[1] for payload in rebuilt] == [
        "replacement_ordered", "replacement_promised", "replacement_shipped", "replacement_delivered", "resolved",
    ]  # fmt: skip
