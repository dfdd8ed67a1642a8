"""URL-encoded forms, and the origin of what sends them."""

from urllib.parse import parse_qs
from uuid import UUID

from fastapi import Request

MAX_FIELDS = 50
MAX_STAFF_FIELDS = 2000
"""For signed-in staff: a report names up to four fields per line of its order."""


async def read_form(request: Request, max_fields: int = MAX_FIELDS) -> dict[str, str]:
    """Return the first value of each field; empty if the body is not a URL-encoded form, or has more fields."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=max_fields)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def parse_uuid(text: str | None) -> UUID | None:
    """Return the UUID of a field; None for anything else."""
    try:
        return UUID(text or "")
    except ValueError:
        return None


def multiline(text: str, max_length: int) -> str:
    """Return the text of a textarea with plain line breaks, trimmed and cut to the limit."""
    return text.replace("\r\n", "\n").strip()[:max_length]


def is_cross_site(request: Request) -> bool:
    """Return true if the browser reports another site as the origin.

    Older browsers omit the header; for them the token is the protection.
    """
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
