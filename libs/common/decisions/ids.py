"""Deterministic ids, so that a repeated operation creates the same id."""

from uuid import NAMESPACE_URL, UUID, uuid5

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:sakidashi")


def derived_id(kind: str, *cause: object) -> UUID:
    """Return the UUID (version 5) of this kind and cause."""
    return uuid5(_NAMESPACE, "\x1f".join((kind, *map(str, cause))))
