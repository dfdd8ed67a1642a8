"""Cursors of the desk's lists: the end of the page before, as `due time~id~rest`."""

from datetime import UTC, datetime
from uuid import UUID

from libs.common.events.values.base import to_utc


def parse_cursor(after: str) -> tuple[datetime, UUID, str] | None:
    """Return due time, id and the rest; None (the first page) for anything malformed."""
    moment, _, rest = after.partition("~")
    name, _, rest = rest.partition("~")
    try:
        due_at = datetime.fromisoformat(moment)
        return to_utc(due_at if due_at.tzinfo else due_at.replace(tzinfo=UTC)), UUID(name), rest
    except ValueError:
        return None
