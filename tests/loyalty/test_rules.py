"""Award rules: points per case, and rejection of invalid files at start."""

from decimal import Decimal
from itertools import product

import pytest

from libs.common.config.settings import SettingsError, load
from libs.common.events.values import Fault, Reason
from services.loyalty.domain.award import Award, IncidentImpact, apology_award
from services.loyalty.settings import AWARD_FILE, LoyaltySettings, parse_rules
from tests.loyalty.histories import NOON, RULES

SHIPPED = AWARD_FILE.read_text(encoding="utf-8")


def award(fault: Fault, reason: Reason, amount: str = "4980", currency: str = "JPY") -> Award:
    return apology_award(RULES, IncidentImpact(fault, reason, Decimal(amount), currency), "regular", NOON.date())


@pytest.mark.parametrize(
    ("fault", "reason", "amount", "points", "rule"),
    [
        (Fault.MERCHANT, Reason.DEFECTIVE, "4980", 549, "our_product"),
        (Fault.MERCHANT, Reason.WRONG_ITEM, "4980", 449, "our_mistake"),
        (Fault.CARRIER, Reason.DAMAGED_IN_TRANSIT, "4980", 299, "on_the_way"),
        (Fault.CARRIER, Reason.LOST_IN_TRANSIT, "0", 200, "on_the_way"),
        (Fault.CUSTOMER, Reason.CHANGED_MIND, "4980", 0, "changed_mind"),
        (Fault.MERCHANT, Reason.DEFECTIVE, "1000000", 3000, "our_product"),
    ],
)
def test_the_shipped_rules_give(fault: Fault, reason: Reason, amount: str, points: int, rule: str) -> None:
    result = award(fault, reason, amount)
    assert (result.points, result.rule, result.version) == (points, rule, RULES.version)


@pytest.mark.parametrize(("fault", "reason"), list(product(Fault, Reason)))
def test_the_shipped_rules_answer_every_case(fault: Fault, reason: Reason) -> None:
    assert award(fault, reason).points >= 0


def test_value_in_another_currency_counts_by_its_worth() -> None:
    assert award(Fault.MERCHANT, Reason.DEFECTIVE, "30.00", "USD").points == 450


def test_value_in_an_unknown_currency_earns_the_points_without_a_share() -> None:
    assert award(Fault.MERCHANT, Reason.DEFECTIVE, "30.00", "XAU").points == 300


def test_a_negative_value_never_takes_points_away() -> None:
    assert award(Fault.MERCHANT, Reason.DEFECTIVE, "-30000").points == 300


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('fault = "carrier"', 'fault = "courier"', "rules.2.fault"),
        ("points = 200", "points = -1", "rules.2.points"),
        ("points = 200", "point = 200", "rules.2.point"),
        ("cap = 1000", "cap = 10", "less than points"),
        ("silver = { ja", "sliver = { ja", "titles: sliver: no tier, perk or campaign"),
        ("cap = 1000", "", "share_of_value needs a cap"),
        ('fault = "carrier"', 'fault = "merchant"', "'on_the_way' can never match"),
        ('reasons = ["wrong_item", "missing_item", "missing_part"]', "", "'our_product' can never match"),
        ('fault = "carrier"', 'fault = "carrier"\nreasons = ["lost_in_transit"]', "fault 'carrier' with reason"),
        ("points = 0", "points = 5", "must be 0"),
        ('name = "our_product"', 'name = "our_mistake"', "duplicate name"),
        ('version = "2026-12"', "", "version"),
        ("hold_days = 14", "hold_days = 14 days", "not TOML"),
    ],
)
def test_a_wrong_rule_file_is_refused_with_the_place_of_the_fault(old: str, new: str, message: str) -> None:
    wrong = SHIPPED.replace(old, new, 1)
    assert wrong != SHIPPED
    with pytest.raises(ValueError, match=message):
        parse_rules(wrong)


def test_a_service_with_wrong_rules_does_not_start(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://localhost/loyalty")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
    monkeypatch.setenv("AWARD_RULES", SHIPPED.replace("points = 200", "points = -1"))
    with pytest.raises(SettingsError):
        load(LoyaltySettings)
    assert "rules.2.points" in capsys.readouterr().err
