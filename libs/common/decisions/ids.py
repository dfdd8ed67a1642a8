"""Ids that follow from their cause, so that doing a thing twice makes the same id twice."""

from uuid import NAMESPACE_URL, UUID, uuid5

_NAMESPACE = uuid5(NAMESPACE_URL, "urn:sakidashi")


def derived_id(kind: str, *cause: object) -> UUID:
    """A UUID (version 5) of `kind` that is the same whenever the cause is the same."""
    return uuid5(_NAMESPACE, "\x1f".join((kind, *map(str, cause))))
