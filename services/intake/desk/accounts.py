"""Accounts of the desk: roles and password hashes.

Passwords are kept as argon2id hashes (argon2-cffi, with the parameters of RFC 9106 for little memory).
"""

from enum import StrEnum

from argon2 import PasswordHasher
from argon2.profiles import RFC_9106_LOW_MEMORY

MIN_PASSWORD_LENGTH = 12
HASHER = PasswordHasher.from_parameters(RFC_9106_LOW_MEMORY)


class StaffRole(StrEnum):
    """Roles; each includes those before it. Viewers read cases, agents act on them, admins manage dead letters."""

    VIEWER = "viewer"
    AGENT = "agent"
    ADMIN = "admin"

    def includes(self, least: "StaffRole") -> bool:
        order = list(StaffRole)
        return order.index(self) >= order.index(least)


class PasswordError(ValueError):
    """password: too short; use at least 12 characters."""


def hash_password(password: str) -> str:
    """Raises `PasswordError`."""
    if len(password) < MIN_PASSWORD_LENGTH:
        raise PasswordError(f"password: {len(password)} characters, {MIN_PASSWORD_LENGTH} is the minimum")
    return HASHER.hash(password)
