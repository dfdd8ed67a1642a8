"""Partners and their rights, as a TOML file: role, digests of API keys, and optionally fewer event types than the role.

[partners.acme]
role = "warehouse"
key_sha256 = ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
"""

import hashlib
import hmac
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from libs.common.events.faults import fault_texts
from libs.common.events.partner_rights import PartnerRole, read_topics, types_on, written_topics
from libs.common.events.sources import PARTNERS
from libs.common.events.topics import ALL_SERVICES

PartnerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
KeyDigest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of an API key, in lower-case hexadecimal."""

_RESERVED = frozenset({*ALL_SERVICES, "erase"})


class PartnerTerms(BaseModel):
    """Terms of one partner. `sends` and `receives` narrow the event types of its role."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: PartnerRole
    key_sha256: tuple[KeyDigest, ...] = ()
    sends: frozenset[str] | None = None
    receives: frozenset[str] | None = None

    @model_validator(mode="after")
    def _check_types(self) -> Self:
        for field, given, allowed in (
            ("sends", self.sends, types_on(written_topics(self.role))),
            ("receives", self.receives, types_on(read_topics(self.role))),
        ):
            if given and (foreign := sorted(given - allowed)):
                raise ValueError(f"{field}: {', '.join(foreign)} not of role {self.role}; remove them")
        return self

    @cached_property
    def may_send(self) -> frozenset[str]:
        """Event types that the partner may send."""
        return types_on(written_topics(self.role)) if self.sends is None else self.sends

    @cached_property
    def may_receive(self) -> frozenset[str]:
        """Event types that are addressed to the partner."""
        return types_on(read_topics(self.role)) if self.receives is None else self.receives


class PartnerDirectory(BaseModel):
    """All partners of a shop by name. The name is the first part of the `source` of a partner's events."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    partners: dict[PartnerName, PartnerTerms] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_names_and_keys(self) -> Self:
        for name, terms in self.partners.items():
            others = {
                each
                for prefix, partner in PARTNERS.items()
                for each in (prefix, partner.replace(" ", "_"))
                if not partner.startswith(terms.role)
            }
            if name in _RESERVED | others:
                raise ValueError(f"{name}: the name of a service or of another role; choose a name of its own")
        keys = Counter(key for terms in self.partners.values() for key in terms.key_sha256)
        if any(count > 1 for count in keys.values()):
            raise ValueError("key_sha256: one key belongs to two partners; make a key for each")
        return self

    def identify(self, key: str) -> str | None:
        """Return the partner of this API key, or None. Compares all digests, so that timing reveals nothing."""
        presented, found = hashlib.sha256(key.encode()).hexdigest(), None
        for name, terms in self.partners.items():
            for digest in terms.key_sha256:
                if hmac.compare_digest(presented, digest):
                    found = name
        return found


def parse_directory(text: object) -> PartnerDirectory:
    """Parse partners from TOML text. Raises `ValueError` that names every invalid field."""
    if isinstance(text, PartnerDirectory):
        return text
    try:
        return PartnerDirectory.model_validate(tomllib.loads(str(text)))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"not TOML: {error}") from None
    except RecursionError:
        raise ValueError("not valid partners: nested too deeply") from None
    except ValidationError as error:
        raise ValueError("; ".join(fault_texts(error, "partners"))) from None


def received_types(partners: Mapping[str, PartnerTerms] | Iterable[PartnerTerms]) -> frozenset[str]:
    """Return the event types that at least one of these partners receives."""
    terms = partners.values() if isinstance(partners, Mapping) else partners
    return frozenset().union(*(each.may_receive for each in terms))
