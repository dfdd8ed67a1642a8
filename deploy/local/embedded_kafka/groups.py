"""Consumer groups: members join, one of them assigns the partitions, and heartbeats keep the members."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from uuid import uuid4

from aiokafka.errors import (
    IllegalGenerationError,
    InconsistentGroupProtocolError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

CHECK_SECONDS = 0.25


class GroupState(Enum):
    STABLE = auto()
    JOINING = auto()
    """Members are to join again."""
    SYNCING = auto()
    """All have joined; the leader is to assign."""


@dataclass(slots=True)
class Member:
    """One member. `joined` and `assigned` are answered when all have joined, and when the leader has assigned."""

    member_id: str
    session_seconds: float
    rebalance_seconds: float
    protocols: Mapping[str, bytes]
    seen_at: float
    joined: "asyncio.Future[None] | None" = None
    assigned: "asyncio.Future[bytes] | None" = None


@dataclass(slots=True)
class ConsumerGroup:
    """One group, its members and its committed offsets by topic and partition."""

    members: dict[str, Member] = field(default_factory=dict)
    offsets: dict[tuple[str, int], tuple[int, str]] = field(default_factory=dict)
    state: GroupState = GroupState.STABLE
    generation: int = 0
    leader: str = ""
    protocol: str = ""
    assignments: dict[str, bytes] = field(default_factory=dict)
    _joining_since: float = 0.0

    async def join(
        self, member_id: str, session_seconds: float, rebalance_seconds: float, protocols: Mapping[str, bytes]
    ) -> str:
        """Join, and wait until all members of the group have; returns the member's id. Raises a Kafka error."""
        if member_id and member_id not in self.members:
            raise UnknownMemberIdError
        others = [other.protocols.keys() for name, other in self.members.items() if name != member_id]
        if not set(protocols).intersection(*others):
            raise InconsistentGroupProtocolError
        loop = asyncio.get_running_loop()
        name = member_id or f"member-{uuid4().hex[:12]}"
        member = Member(name, session_seconds, rebalance_seconds, protocols, loop.time())
        member.joined = loop.create_future()
        self.members[name] = member
        self._start_joining()
        self._finish_joining()
        await member.joined
        return name

    async def sync(self, member_id: str, generation: int, assignments: Mapping[str, bytes]) -> bytes:
        """Return the member's assignment, once the leader has given it. Raises a Kafka error."""
        member = self._checked(member_id, generation)
        if self.state is GroupState.JOINING:
            raise RebalanceInProgressError
        if self.state is GroupState.SYNCING and member_id == self.leader:
            self.assignments = dict(assignments)
            self.state = GroupState.STABLE
            for other in self.members.values():
                if other.assigned and not other.assigned.done():
                    other.assigned.set_result(self.assignments.get(other.member_id, b""))
        if self.state is GroupState.STABLE:
            return self.assignments.get(member_id, b"")
        member.assigned = asyncio.get_running_loop().create_future()
        return await member.assigned

    def heartbeat(self, member_id: str, generation: int) -> None:
        """Raises a Kafka error: the member is to join again."""
        self._checked(member_id, generation)
        if self.state is GroupState.JOINING:
            raise RebalanceInProgressError

    def commit(self, member_id: str, generation: int, offsets: Mapping[tuple[str, int], tuple[int, str]]) -> None:
        """Store offsets; without a generation also from outside the group. Raises a Kafka error."""
        if generation >= 0:
            self._checked(member_id, generation)
        self.offsets.update(offsets)

    def leave(self, member_id: str) -> None:
        if member_id not in self.members:
            raise UnknownMemberIdError
        self._remove([member_id])

    def expire(self, now: float) -> None:
        """Remove members that were not heard of for their session, or that did not join again in time."""
        late = self.state is GroupState.JOINING
        self._remove(
            [
                member.member_id
                for member in self.members.values()
                if (member.joined is None or member.joined.done())
                and (
                    now - member.seen_at > member.session_seconds
                    or (late and now - self._joining_since > member.rebalance_seconds)
                )
            ]
        )

    def _checked(self, member_id: str, generation: int) -> Member:
        member = self.members.get(member_id)
        if member is None:
            raise UnknownMemberIdError
        if generation != self.generation:
            raise IllegalGenerationError
        member.seen_at = asyncio.get_running_loop().time()
        return member

    def _remove(self, names: Sequence[str]) -> None:
        for name in names:
            member = self.members.pop(name)
            if member.assigned and not member.assigned.done():
                member.assigned.set_exception(UnknownMemberIdError())
        if names and self.members:
            self._start_joining()
            self._finish_joining()

    def _start_joining(self) -> None:
        if self.state is GroupState.JOINING:
            return
        self.state = GroupState.JOINING
        self._joining_since = asyncio.get_running_loop().time()
        for member in self.members.values():
            if member.assigned and not member.assigned.done():
                member.assigned.set_exception(RebalanceInProgressError())

    def _finish_joining(self) -> None:
        """Begin a generation once every member waits for it."""
        waiting = [member for member in self.members.values() if member.joined and not member.joined.done()]
        if self.state is not GroupState.JOINING or len(waiting) < len(self.members):
            return
        self.generation += 1
        self.state = GroupState.SYNCING
        self.leader = self.leader if self.leader in self.members else waiting[0].member_id
        common = set.intersection(*(set(member.protocols) for member in waiting))
        self.protocol = next(name for name in self.members[self.leader].protocols if name in common)
        for member in waiting:
            member.seen_at = asyncio.get_running_loop().time()
            assert member.joined is not None
            member.joined.set_result(None)

    def metadata(self) -> list[tuple[str, bytes]]:
        """Every member with its subscription, from which the leader assigns."""
        return [(member.member_id, member.protocols[self.protocol]) for member in self.members.values()]


@dataclass(slots=True)
class GroupCoordinator:
    """All groups, created at their first use."""

    groups: dict[str, ConsumerGroup] = field(default_factory=dict)

    def group(self, name: str) -> ConsumerGroup:
        return self.groups.setdefault(name, ConsumerGroup())

    async def expire_members(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            for group in self.groups.values():
                group.expire(asyncio.get_running_loop().time())
