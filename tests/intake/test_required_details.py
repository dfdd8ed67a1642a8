"""The policy of what a report must come with: right as it is, and refused with the name of what is wrong."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.values import Money, Reason, ReportedLine
from services.intake.domain.orders import Need, Purchase
from services.intake.policy.required_details import DEFAULT_FILE, NeedsError, NeedsPolicy, lacking, read_needs
from tests.intake.reports import CUSTOMER, line, said

POLICY = read_needs()


def policy(**reasons: Any) -> NeedsPolicy:
    return NeedsPolicy(**{**POLICY.model_dump(exclude={"reasons"}), "reasons": reasons})


def needs(
    policy: NeedsPolicy, reason: Reason, price: str = "4980", currency: str = "JPY", **order: Any
) -> tuple[Need, ...]:
    cost = Money(amount=Decimal(price), currency=currency)
    bought = line().model_copy(update={"unit_price": cost, "product_group": order.get("group")})
    terms = policy.terms(said(reason=reason), Purchase(CUSTOMER, order.get("market", "JP"), (bought,)))
    return terms.needs if terms else ()


@pytest.mark.parametrize(
    ("reason", "price", "currency", "expected"),
    [
        (Reason.DAMAGED_IN_TRANSIT, "5000", "JPY", ()),
        (Reason.DAMAGED_IN_TRANSIT, "5001", "JPY", (Need.PHOTO,)),
        (Reason.DAMAGED_IN_TRANSIT, "50.00", "EUR", (Need.PHOTO,)),
        (Reason.DAMAGED_IN_TRANSIT, "999999", "KRW", ()),
        (Reason.MISSING_PART, "1", "JPY", (Need.PART,)),
        (Reason.DEFECTIVE, "4980", "JPY", ()),
        (Reason.CHANGED_MIND, "999999", "JPY", ()),
    ],
)
def test_what_is_needed_follows_from_reason_and_value(
    reason: Reason, price: str, currency: str, expected: tuple[Need, ...]
) -> None:
    assert needs(POLICY, reason, price, currency) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, (Need.PHOTO,)),
        ({"market": "DE"}, ()),
        ({"group": "glass"}, (Need.PHOTO, Need.DESCRIPTION)),
        ({"market": "DE", "group": "glass"}, ()),
    ],
)
def test_the_first_override_that_fits_counts(order: dict[str, str], expected: tuple[Need, ...]) -> None:
    overrides = [
        {"markets": ["DE"], "needs": []},
        {"groups": ["glass"], "needs": ["photo", "description"]},
    ]
    changed = policy(defective={"needs": ["photo"], "overrides": overrides})
    assert needs(changed, Reason.DEFECTIVE, **order) == expected


@pytest.mark.parametrize(
    ("fields", "photos", "expected"),
    [
        ({}, [], (Need.PHOTO, Need.PART, Need.DESCRIPTION)),
        ({"description": "割れ"}, ["a"], (Need.PART,)),
        ({"description": "  "}, ["a"], (Need.PART, Need.DESCRIPTION)),
        ({"lines": (ReportedLine(line_id="1", quantity=1, part="lid"),)}, ["a"], (Need.DESCRIPTION,)),
    ],
)
def test_what_a_report_lacks(fields: dict[str, Any], photos: list[str], expected: tuple[Need, ...]) -> None:
    assert lacking(Need, said(**fields), photos) == expected


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("version = 1", "version = 0", "version"),
        ('needs = ["part"]', 'needs = ["blood"]', "reasons.missing_part.needs.0"),
        ("[reasons.missing_part]", "[reasons.ugly]", "reasons.ugly"),
        ('when_silent = "close"', 'when_silent = "shout"', "reasons.missing_part.when_silent"),
        ("JPY = 50000", "JPY = -1", "reasons.defective.above.JPY"),
        ("quiet_minutes = 15", "quiet_minutes 15", "required_details.toml"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name(tmp_path: Path, old: str, new: str, named: str) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "required_details.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(NeedsError, match=named.replace(".", r"\.")):
        read_needs(file)
