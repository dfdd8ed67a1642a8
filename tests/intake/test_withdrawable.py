"""Until when a report can be taken back, by its status and the events of its timeline."""

import pytest

from services.intake.domain.projections.withdrawable import can_withdraw

ACCEPTED, SHIPPED, REOPENED = "issue.accepted.v1", "issue.replacement_shipped.v1", "issue.reopened.v1"


@pytest.mark.parametrize(
    ("status", "events", "expected"),
    [
        ("accepted", [ACCEPTED], True),
        ("in_review", [ACCEPTED], True),
        ("in_review", [ACCEPTED, SHIPPED], False),
        ("in_review", [ACCEPTED, "issue.item_received.v1"], False),
        ("reopened", [ACCEPTED, SHIPPED, REOPENED], True),
        ("in_review", [ACCEPTED, SHIPPED, REOPENED, SHIPPED], False),
        ("replacement_shipped", [], False),
        ("resolved", [ACCEPTED], False),
    ],
)
def test_a_report_can_be_taken_back_until_something_has_left(status: str, events: list[str], expected: bool) -> None:
    assert can_withdraw(status, events) is expected
