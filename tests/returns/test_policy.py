"""Policy files: content of the bundled one, and refusal of an invalid one with the name of its key."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from libs.common.events.values import Money, Reason, Remedy
from services.returns.policy.movements import CollectOn, RefundOn, ShipOn
from services.returns.policy.policy_loader import BUNDLED_POLICY, parse_policy, read_policies
from services.returns.policy.policy_versions import PolicyError
from services.returns.settings import ReturnsSettings
from tests.running import NO_KAFKA

TEXT = BUNDLED_POLICY.read_text(encoding="utf-8")
POLICY = read_policies().versions["2026-01"]


@pytest.mark.parametrize(
    ("reason", "remedy", "ship_on", "collect_on", "refund_on"),
    [
        (Reason.DEFECTIVE, Remedy.REPLACEMENT, ShipOn.ACCEPTED, CollectOn.SHIPPED, RefundOn.NEVER),
        (Reason.DAMAGED_IN_TRANSIT, Remedy.REPLACEMENT, ShipOn.ACCEPTED, CollectOn.SHIPPED, RefundOn.NEVER),
        (Reason.WRONG_ITEM, Remedy.REPLACEMENT, ShipOn.ACCEPTED, CollectOn.SHIPPED, RefundOn.NEVER),
        (Reason.MISSING_PART, Remedy.PART_SHIPMENT, ShipOn.ACCEPTED, CollectOn.NEVER, RefundOn.NEVER),
        (Reason.MISSING_ITEM, Remedy.REPLACEMENT, ShipOn.ACCEPTED, CollectOn.NEVER, RefundOn.NEVER),
        (Reason.LOST_IN_TRANSIT, Remedy.REPLACEMENT, ShipOn.ACCEPTED, CollectOn.NEVER, RefundOn.NEVER),
        (Reason.CHANGED_MIND, Remedy.REFUND, ShipOn.NEVER, CollectOn.ACCEPTED, RefundOn.RECEIVED),
    ],
)
def test_each_reason_has_its_remedy_and_movements(
    reason: Reason, remedy: Remedy, ship_on: ShipOn, collect_on: CollectOn, refund_on: RefundOn
) -> None:
    rule = POLICY.reasons[reason]
    moves = rule.remedies[rule.default]
    assert (rule.default, moves.ship_on, moves.collect_on, moves.refund_on) == (remedy, ship_on, collect_on, refund_on)


def test_a_wish_is_granted_where_the_policy_allows_it() -> None:
    assert POLICY.reasons[Reason.DEFECTIVE].choose_remedy(Remedy.REFUND) is Remedy.REFUND


def test_a_wish_that_the_policy_does_not_allow_gives_the_default() -> None:
    assert POLICY.reasons[Reason.CHANGED_MIND].choose_remedy(Remedy.REPLACEMENT) is Remedy.REFUND


@pytest.mark.parametrize(
    ("amount", "currency", "needs_review"), [("200000", "JPY", False), ("200001", "JPY", True), ("1", "XTS", True)]
)
def test_staff_decide_over_the_limit_and_in_unlisted_currencies(amount: str, currency: str, needs_review: bool) -> None:
    assert POLICY.needs_review(Money.model_validate({"amount": amount, "currency": currency})) is needs_review


@pytest.mark.parametrize(
    ("right", "wrong", "names"),
    [
        ("promise_open_days = 1 ", "promise_open_days = 0 ", "limits.promise_open_days"),
        ("transit_days = 2 ", "transit_day = 2 ", "limits.transit_days"),
        ('version = "2026-01"', "", "version"),
        ('JPY = "200000"', 'yen = "200000"', "review_over.yen"),
        ('JPY = "200000"', 'JPY = "-1"', "review_over.JPY"),
        ("[reasons.changed_mind]", "[reasons.changed_heart]", "reasons.changed_heart"),
        ('fault = "customer"', 'fault = "nobody"', "reasons.changed_mind.fault"),
        (
            'fault = "customer"\ndefault = "refund"',
            'fault = "customer"\ndefault = "replacement"',
            "default: replacement",
        ),
    ],
)
def test_a_wrong_policy_is_refused_by_the_name_of_its_key(right: str, wrong: str, names: str) -> None:
    assert right in TEXT
    with pytest.raises(PolicyError, match=names.replace(".", r"\.")):
        parse_policy(TEXT.replace(right, wrong, 1))


@pytest.mark.parametrize(
    ("moves", "names"),
    [
        ('ship_on = "accepted", collect_on = "accepted", refund_on = "never", inspect = false', "collect_on: accepted"),
        ('ship_on = "received", collect_on = "shipped", refund_on = "never", inspect = false', "collect_on: shipped"),
        ('ship_on = "received", collect_on = "never", refund_on = "never", inspect = false', "collect_on: never"),
        ('ship_on = "never", collect_on = "never", refund_on = "received", inspect = false', "refund_on: received"),
        ('ship_on = "accepted", collect_on = "shipped", refund_on = "accepted", inspect = true', "refund_on: a unit"),
        ('ship_on = "never", collect_on = "accepted", refund_on = "never", inspect = true', "ship_on: a remedy"),
    ],
)
def test_movements_that_would_break_an_invariant_are_refused(moves: str, names: str) -> None:
    right = 'ship_on = "accepted", collect_on = "shipped", refund_on = "never", inspect = true'
    with pytest.raises(PolicyError, match=names):
        parse_policy(TEXT.replace(right, moves, 1))


def test_a_reason_without_a_rule_is_refused() -> None:
    with pytest.raises(PolicyError, match="changed_mind missing"):
        parse_policy(TEXT[: TEXT.index("[reasons.changed_mind]")])


def test_what_is_not_toml_is_refused() -> None:
    with pytest.raises(PolicyError, match="not TOML"):
        parse_policy("version = ")


def test_a_service_with_a_wrong_policy_does_not_start(tmp_path: Path) -> None:
    wrong = tmp_path / "policy.toml"
    wrong.write_text(TEXT.replace("transit_days = 2 ", "transit_days = 0 "), encoding="utf-8")
    with pytest.raises(ValidationError, match=r"policy_file[\s\S]*limits\.transit_days"):
        ReturnsSettings(database_url="postgresql://localhost/x", kafka_bootstrap_servers=NO_KAFKA, policy_file=wrong)


def test_a_policy_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"mine\.toml: cannot be read"):
        read_policies(tmp_path / "mine.toml")
