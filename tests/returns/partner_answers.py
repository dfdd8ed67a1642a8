"""Answers of the warehouse and of the customer to one case."""

from datetime import date

from libs.common.events.issues import IssueChoiceRequested
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import Choice
from libs.common.events.warehouse import ReplacementRejected
from tests.returns.cases import ISSUE, CaseScenario, event_types, refusal_reasons

WEDNESDAY, THURSDAY, FRIDAY, MONDAY = date(2026, 3, 11), date(2026, 3, 12), date(2026, 3, 13), date(2026, 3, 16)


def reject(scenario: CaseScenario, restock: date | None = None) -> IssueChoiceRequested:
    scenario.apply(ReplacementRejected(issue_id=ISSUE, replacement_id=scenario.replacement_id, restock_date=restock))
    return scenario.last(IssueChoiceRequested)


def choose(scenario: CaseScenario, choice: Choice) -> list[str]:
    asked = scenario.last(IssueChoiceRequested)
    decided = CustomerDecided(
        order_id="O-1",
        customer_id="C-1",
        issue_id=ISSUE,
        choice_id=asked.choice_id,
        choice=choice,
        decided_at=scenario.now,
    )
    facts = scenario.apply(decided)
    return event_types(facts) or refusal_reasons(facts)
