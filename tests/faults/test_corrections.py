"""Corrections of a fault run: each order ends as what is shipped of it, whatever was published about it at first."""

from collections import Counter
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from libs.common.events import storefront
from libs.common.events.registry import decode
from tests.common import wire
from tests.faults.corrections import Correction, NamedEvent
from tests.faults.workload import SimulatedPurchase, later_events, order_events, purchase

NOW, ZONE = datetime(2026, 3, 2, 0, 0, tzinfo=UTC), ZoneInfo("Asia/Tokyo")
NUMBERS = range(600)
CORRECTIONS = [each for each in Correction if each != Correction.NONE]


def first_with(correction: Correction) -> SimulatedPurchase:
    bought = (purchase(1, number) for number in NUMBERS)
    return next(each for each in bought if each.correction == correction and each.quantity > 1)


def events_of(bought: SimulatedPurchase) -> list[NamedEvent]:
    return [*order_events(bought, NOW, ZONE), *later_events(bought, NOW, ZONE)]


def ordered_units(events: list[NamedEvent]) -> Counter[str]:
    """Units by line, as the shop states them last."""
    lines: Counter[str] = Counter()
    for event in events:
        if isinstance(event.payload, storefront.OrderPlaced | storefront.OrderChanged):
            lines.update({line.line_id: line.quantity - lines[line.line_id] for line in event.payload.lines})
    return +lines


def delivered_units(events: list[NamedEvent]) -> Counter[str]:
    lines: Counter[str] = Counter()
    for event in events:
        if isinstance(event.payload, storefront.OrderDelivered):
            lines.update({line.line_id: line.quantity for line in event.payload.lines})
    return lines


def test_a_run_has_every_correction() -> None:
    assert {purchase(3, number).correction for number in NUMBERS} == set(Correction)


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_an_order_is_delivered_as_it_was_corrected(correction: Correction) -> None:
    events = events_of(first_with(correction))
    is_cancelled = any(isinstance(event.payload, storefront.OrderCancelled) for event in events)
    assert delivered_units(events) == (Counter() if is_cancelled else ordered_units(events))


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_a_correction_is_an_event_of_the_contract(correction: Correction) -> None:
    for event in events_of(first_with(correction)):
        assert decode(wire.event_bytes(event.payload)).data == type(event.payload).model_validate(
            event.payload.model_dump()
        )


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_the_events_of_an_order_have_names_of_their_own(correction: Correction) -> None:
    names = Counter(event.name for event in events_of(first_with(correction)))
    assert set(names.values()) == {1}


def test_a_report_may_name_the_account_that_remains_after_a_merge() -> None:
    merged = [each for each in (purchase(1, n) for n in NUMBERS) if each.correction == Correction.MERGED_BEFORE]
    assert {each.reporting_account == each.customer_id for each in merged} == {True, False}
