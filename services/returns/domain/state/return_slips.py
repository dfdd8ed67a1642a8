"""Return slips: the number in the box by which a return without other papers is recognized.

The number is the id of the issue in base 32, so that it needs no table and no lookup: 26 letters and digits that a
person can copy, after a prefix.
"""

from base64 import b32decode, b32encode
from uuid import UUID

_PREFIX = "RS-"
_LENGTH = 26


def return_slip(issue_id: UUID) -> str:
    """Return the number of the slip for an issue."""
    return _PREFIX + b32encode(issue_id.bytes).decode().rstrip("=")


def issue_of_slip(number: str) -> UUID | None:
    """Return the issue of a slip, however it was copied; None where it is no number of ours."""
    plain = "".join(each for each in number.upper() if each.isalnum())
    if len(plain) > _LENGTH:
        plain = plain.removeprefix("RS")
    try:
        return UUID(bytes=b32decode(plain + "=" * (-len(plain) % 8)))
    except ValueError:
        return None
