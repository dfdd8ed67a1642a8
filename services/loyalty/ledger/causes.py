"""Causes: the keys under which points move at most once per kind of entry."""

from uuid import UUID

from libs.common.decisions.ids import derived_id
from services.loyalty.ledger.entries import EntryKind


def issue_cause(issue_id: UUID, resolution: int | None = None) -> str:
    """Cause of one resolution of an issue; without a resolution, of the whole issue."""
    return f"issue:{issue_id}" if resolution is None else f"issue:{issue_id}:{resolution}"


def issue_id_of(cause: str) -> UUID:
    return UUID(cause.split(":")[1])


def order_cause(order_id: str, granted: int) -> str:
    """Cause of purchase points; `granted` is the total of the order's grants after this one."""
    return f"order:{order_id}:{granted}"


def order_id_of(cause: str) -> str:
    """Order of a purchase cause. The order id may contain colons."""
    return cause.partition(":")[2].rpartition(":")[0]


def adjustment_cause(adjustment_id: UUID) -> str:
    return f"adjustment:{adjustment_id}"


def redemption_cause(redemption_id: UUID) -> str:
    return f"redemption:{redemption_id}"


def returned_part_cause(redemption_id: UUID, returned: int) -> str:
    """Cause of a part of a redemption that is returned; `returned` is the total after this one."""
    return f"{redemption_cause(redemption_id)}:{returned}"


def redemption_id_of(cause: str) -> UUID:
    """Redemption of its own cause, or of that of a returned part."""
    return UUID(cause.split(":")[1])


def birthday_cause(customer_id: str, year: int) -> str:
    return f"birthday:{customer_id}:{year}"


def id_of(cause: str) -> UUID:
    """Id in an adjustment or redemption cause."""
    return UUID(cause.partition(":")[2])


def lot_id_of(cause: str) -> UUID:
    """Id of the lot that this cause grants, which is also the id of the grant's entry."""
    return derived_id("entry", EntryKind.GRANT, cause)
