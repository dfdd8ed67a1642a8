"""Parcels of replacements as the warehouse stated them: judged from the facts, in whatever order they arrived."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from deploy.verification.evidence import Fact, parse_time
from libs.common.postgres.pool import Connection
from services.returns.domain.state.case import Case
from services.returns.domain.state.line_quantities import UnitCounts, common_counts, missing
from services.returns.domain.state.outbound_leg import AWAITING_SHIPMENT
from services.returns.store.documents import CASE_DOCUMENT


async def parcels_forgotten(conn: Connection, facts: list[Fact]) -> list[str]:
    """Return the open replacements that wait for units which left in a parcel that was not called off."""
    rows = await conn.fetch("SELECT body FROM cases WHERE is_open")
    cases = [CASE_DOCUMENT.validate_json(row["body"]) for row in rows]
    return [f"{case.issue_id}: {parcel} holds {units}" for case in cases for parcel, units in _forgotten(case, facts)]


def _forgotten(case: Case, facts: list[Fact]) -> Iterator[tuple[str, UnitCounts]]:
    leg = case.outbound
    if leg.status not in AWAITING_SHIPMENT or case.address_due_at:
        return
    about = [fact for fact in facts if fact.data.get("replacement_id") == str(leg.replacement_id)]
    for parcel, held in _parcels(about, leg.ordered).items():
        counted = next((each.counts for each in leg.parcels if each.parcel_id == parcel), {})
        if units := common_counts(missing(held, counted), missing(leg.ordered, leg.shipped)):
            yield parcel, units


def _parcels(facts: list[Fact], ordered: UnitCounts) -> dict[str, UnitCounts]:
    """Return the units in each parcel that has an id, whose units nobody changed, and that was not called off."""
    left: dict[str, list[tuple[datetime, Any]]] = defaultdict(list)
    for fact in facts:
        if fact.type == "replacement.shipped" and fact.data.get("shipment_id"):
            left[fact.data["shipment_id"]].append((parse_time(fact.data["shipped_at"]), fact.data.get("lines")))
    changes = [fact for fact in facts if fact.type == "replacement.shipment_changed"]
    for fact in changes:
        parcel, at = fact.data.get("shipment_id"), parse_time(fact.data["changed_at"])
        if fact.data.get("lines") is not None or parcel is None:
            left.pop(parcel, None) if parcel else left.clear()
        elif fact.data.get("called_off") and parcel in left and max(time for time, _ in left[parcel]) <= at:
            del left[parcel]
    return {parcel: _units(stated[0][1], ordered) for parcel, stated in left.items()}


def _units(lines: Any, ordered: UnitCounts) -> UnitCounts:
    if lines is None:
        return ordered
    return {line["line_id"]: line["quantity"] for line in lines}
