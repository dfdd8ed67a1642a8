"""The versions of the policy side by side.

A case names the version it was decided under and goes on under it, so a version stays in the folder for as long as a
case does. Which one new cases come under follows from the day: the last one in force. `policy_files` reads them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

from services.returns.policy.policy import Policy


class PolicyError(ValueError):
    """The policy is wrong; the message names each key and what would be right."""


@dataclass(frozen=True, slots=True)
class Policies:
    """All versions, by their name; at least one."""

    versions: Mapping[str, Policy]

    @classmethod
    def of(cls, policies: Iterable[Policy]) -> "Policies":
        """Raises `PolicyError` where two share a name or a day, or none is there."""
        found = list(policies)
        for what in ("version", "in_force_from"):
            named = [str(getattr(policy, what)) for policy in found]
            if twice := {name for name in named if named.count(name) > 1}:
                raise PolicyError(f"{what}: {', '.join(sorted(twice))} is there twice; each policy needs its own")
        if not found:
            raise PolicyError("policy: no *.toml in the folder; write at least one")
        return cls({policy.version: policy for policy in found})

    def in_force(self, day: date) -> Policy:
        """What new cases come under on that day; before the first of all, the first."""
        by_day = sorted(self.versions.values(), key=lambda policy: policy.in_force_from)
        return next((policy for policy in reversed(by_day) if policy.in_force_from <= day), by_day[0])

    def under(self, version: str, day: date) -> Policy:
        """What a case goes on under: its own version; where that was taken out of the folder, the one in force."""
        return self.versions.get(version) or self.in_force(day)
