"""Policy versions side by side.

A case names the version it was accepted under and keeps it, so a version stays available while such a case is open.
New cases use the last version in force on their day.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from services.returns.policy.policy import ReturnPolicy


class PolicyError(ValueError):
    """Invalid policy; the message names each key and what would be right."""


@dataclass(frozen=True, slots=True)
class ReturnPolicies:
    """All policy versions by name, at least one."""

    versions: Mapping[str, ReturnPolicy]

    @classmethod
    def from_policies(cls, policies: Iterable[ReturnPolicy]) -> "ReturnPolicies":
        """Raises `PolicyError` where two share a version or a date, or none is given."""
        found = list(policies)
        for key in ("version", "in_force_from"):
            values = [str(getattr(policy, key)) for policy in found]
            if duplicates := {value for value in values if values.count(value) > 1}:
                raise PolicyError(f"{key}: {', '.join(sorted(duplicates))} is there twice; each policy needs its own")
        if not found:
            raise PolicyError("policy: no *.toml in the folder; write at least one")
        return cls({policy.version: policy for policy in found})

    def in_force(self, day: date) -> ReturnPolicy:
        """Return the version for new cases of that day; before the first date, the first version."""
        by_day = sorted(self.versions.values(), key=lambda policy: policy.in_force_from)
        return next((policy for policy in reversed(by_day) if policy.in_force_from <= day), by_day[0])

    def for_version(self, version: str, day: date) -> ReturnPolicy:
        """Return the named version, or the one in force where that file was removed."""
        return self.versions.get(version) or self.in_force(day)
