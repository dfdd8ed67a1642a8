"""Lines of a report from the fields of a form, for the customer's form and the desk's."""

from collections.abc import Mapping
from math import ceil

from libs.common.events.values import Reason, Remedy
from services.intake.store.customer_pages import ReportableLine

WISHES = (Remedy.REPLACEMENT, Remedy.REFUND)
"""Remedies that forms offer; which part is sent is chosen with the part."""
_REASONS_OF_PARTS = frozenset({Reason.DEFECTIVE, Reason.DAMAGED_IN_TRANSIT, Reason.MISSING_PART, Reason.WRONG_ITEM})
"""Reasons for which a form asks about parts; for the others the unit counts as a whole."""
_MAX_DIGITS = 6
"""Digits that are read of a number; more are far above what a report may name, and are refused with it."""


def chosen_lines(fields: Mapping[str, str]) -> list[str]:
    """Return the line ids of the form, also of one that was opened when it had one line only."""
    chosen = [name.removeprefix("line:") for name, value in fields.items() if name.startswith("line:") and value]
    return chosen or list(filter(None, [fields.get("line")]))


def reported_line(
    known: ReportableLine | None, line_id: str, fields: Mapping[str, str], part: str, reason: str
) -> dict[str, object]:
    """Return one line of a report; its values are validated with the report."""
    quantity = fields.get(f"quantity:{line_id}") or "1"
    line: dict[str, object] = {"line_id": line_id, "quantity": quantity}
    if part and reason == Reason.MISSING_PART:
        line["part"] = part
    if known and reason in _REASONS_OF_PARTS:
        line |= _chosen_parts(known, fields, quantity)
    return line


def _chosen_parts(line: ReportableLine, fields: Mapping[str, str], quantity: str) -> dict[str, object]:
    """Return the chosen parts, and as many units as hold them: the number of units is easily left at one."""
    counts = {part: fields.get(f"part:{line.line_id}:{part.sku}", "0") for part in line.components}
    chosen = {part: count for part, text in counts.items() if (count := _number(text))}
    if not chosen:
        return {}
    units = max(ceil(count / part.per_unit) for part, count in chosen.items())
    asked = _number(quantity) or 1
    parts = [{"sku": part.sku, "quantity": count} for part, count in chosen.items()]
    return {"parts": parts, "quantity": max(units, asked)}


def _number(text: str) -> int:
    """Return the number of a field; 0 for what is none. The value of a browser's form may have thousands of digits."""
    if not text.isdecimal():
        return 0
    return int(text) if len(text) <= _MAX_DIGITS else 10**_MAX_DIGITS
