"""The policy of required details: the shipped one is valid, and each error is refused with its name."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.common.events.values import Money, Reason, ReportedLine
from services.intake.policy.required_details import (
    DEFAULT_FILE,
    RequiredDetail,
    RequiredDetailsError,
    RequiredDetailsPolicy,
    missing_details,
    read_required_details,
)
from tests.intake.event_builders import line, submission

POLICY = read_required_details()


def policy(**reasons: Any) -> RequiredDetailsPolicy:
    return RequiredDetailsPolicy(**{**POLICY.model_dump(exclude={"reasons"}), "reasons": reasons})


def needs(
    policy: RequiredDetailsPolicy, reason: Reason, price: str = "4980", currency: str = "JPY", **order: Any
) -> tuple[RequiredDetail, ...]:
    cost = Money(amount=Decimal(price), currency=currency)
    bought = line().model_copy(update={"unit_price": cost, "product_group": order.get("group")})
    terms = policy.for_report(submission(reason=reason), order.get("market", "JP"), (bought,))
    return terms.details if terms else ()


@pytest.mark.parametrize(
    ("reason", "price", "currency", "expected"),
    [
        (Reason.DAMAGED_IN_TRANSIT, "5000", "JPY", ()),
        (Reason.DAMAGED_IN_TRANSIT, "5001", "JPY", (RequiredDetail.PHOTO,)),
        (Reason.DAMAGED_IN_TRANSIT, "50.00", "EUR", (RequiredDetail.PHOTO,)),
        (Reason.DAMAGED_IN_TRANSIT, "999999", "KRW", ()),
        (Reason.MISSING_PART, "1", "JPY", (RequiredDetail.PART,)),
        (Reason.DEFECTIVE, "4980", "JPY", ()),
        (Reason.CHANGED_MIND, "999999", "JPY", ()),
    ],
)
def test_what_is_needed_follows_from_reason_and_value(
    reason: Reason, price: str, currency: str, expected: tuple[RequiredDetail, ...]
) -> None:
    assert needs(POLICY, reason, price, currency) == expected


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({}, (RequiredDetail.PHOTO,)),
        ({"market": "DE"}, ()),
        ({"group": "glass"}, (RequiredDetail.PHOTO, RequiredDetail.DESCRIPTION)),
        ({"market": "DE", "group": "glass"}, ()),
    ],
)
def test_the_first_override_that_fits_counts(order: dict[str, str], expected: tuple[RequiredDetail, ...]) -> None:
    overrides = [
        {"markets": ["DE"], "details": []},
        {"groups": ["glass"], "details": ["photo", "description"]},
    ]
    changed = policy(defective={"details": ["photo"], "overrides": overrides})
    assert needs(changed, Reason.DEFECTIVE, **order) == expected


@pytest.mark.parametrize(
    ("fields", "photos", "expected"),
    [
        ({}, [], (RequiredDetail.PHOTO, RequiredDetail.PART, RequiredDetail.DESCRIPTION)),
        ({"description": "割れ"}, ["a"], (RequiredDetail.PART,)),
        ({"description": "  "}, ["a"], (RequiredDetail.PART, RequiredDetail.DESCRIPTION)),
        ({"lines": (ReportedLine(line_id="1", quantity=1, part="lid"),)}, ["a"], (RequiredDetail.DESCRIPTION,)),
    ],
)
def test_what_a_report_lacks(fields: dict[str, Any], photos: list[str], expected: tuple[RequiredDetail, ...]) -> None:
    assert missing_details(RequiredDetail, submission(**fields), photos) == expected


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("version = 1", "version = 0", "version"),
        ('details = ["part"]', 'details = ["blood"]', "reasons.missing_part.details.0"),
        ("[reasons.missing_part]", "[reasons.ugly]", "reasons.ugly"),
        ('on_no_answer = "close"', 'on_no_answer = "shout"', "reasons.missing_part.on_no_answer"),
        ("JPY = 50000", "JPY = -1", "reasons.defective.above_value.JPY"),
        ("grace_minutes = 15", "grace_minutes 15", "required_details.toml"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name(tmp_path: Path, old: str, new: str, named: str) -> None:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "required_details.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(RequiredDetailsError, match=named.replace(".", r"\.")):
        read_required_details(file)
