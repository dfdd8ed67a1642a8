"""One look around at everybody who may have something to do, in an order that lets nothing slip through.

Work moves: a partner says something, a service takes it and writes it down, the relay publishes what was written, the
mail server gets a mail and a customer reads it. Whoever looks at the receiver first and at the sender second can see
both at rest while something was handed from one to the other. So the look goes along with the work: partners,
ends of the topics, services, databases, mails, ends of the topics again. A record is taken when the transaction that it
led to is over; what a service wrote is in its database or, once published, moves the end of a topic. So one look that
finds nothing, and the same ends after as before, is enough: nothing was under way at its end.

It stops at the first place where something is found; then there is no need to ask the others.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.demo.status_poll import Peek
from libs.common.decisions.clock import SharedClock
from libs.common.events.topics import TOPICS
from libs.common.postgres.pool import Pool

_WORK = "SELECT (SELECT count(*) FROM outbox) AS outbox, (SELECT min(due_at) FROM timers) AS timer"
_NOTICES = """
    SELECT (SELECT min(CASE WHEN n.withdrawn_cause IS NOT NULL OR EXISTS (
                SELECT 1 FROM contacts c WHERE c.order_id = n.order_id) THEN n.due_at ELSE n.contact_by END)
            FROM notices n WHERE n.settled_at IS NULL) AS notice,
           (SELECT min(due_at) FROM timers WHERE name = 'overdue') AS promise"""
"""A notice of which nobody knows yet whom to write to is not due before its wait for that is over."""
_OPEN = "SELECT count(*) FROM timers WHERE split_part(name, ':', 1) <> ALL($1)"
_LASTING = ["expiry", "tier", "birthday"]
"""Timers of loyalty that are always set, for things that are months away."""

Ends = Mapping[str, Mapping[str, int]]
"""By topic and partition (as text, for so JSON has it), the offset that the next record gets; 0 is left out."""


@dataclass
class Look:
    """What one look around found. `busy` names who has something to do now, and how much; where it is not empty, the
    rest says nothing. `next_at`: when the next thing is due, `stop_at`: the next word to a customer (those moments are
    not passed over, for a promise breaks soon after), `told_at`: when a partner speaks next."""

    now: datetime
    busy: dict[str, int] = field(default_factory=dict)
    next_at: datetime | None = None
    stop_at: datetime | None = None
    told_at: datetime | None = None
    story: dict[str, Any] = field(default_factory=dict)

    def work(self, who: str, count: int) -> None:
        if count:
            self.busy[who] = self.busy.get(who, 0) + count

    def due(self, who: str, moment: datetime | None) -> None:
        if moment is None:
            return
        if moment <= self.now:
            self.work(who, 1)
        elif self.next_at is None or moment < self.next_at:
            self.next_at = moment


def unread(ends: Ends, taken: Ends, prefix: str = "") -> int:
    """Records that were written and not taken by somebody who says how far they have come in each of their topics."""
    return sum(
        max(0, end - partitions.get(partition, 0))
        for topic, partitions in taken.items()
        for partition, end in ends.get(prefix + topic, {}).items()
    )


class Onlooker:
    """Knows where everybody is; `databases` and `services` by service, the partners in their `town`."""

    def __init__(
        self,
        clock: SharedClock,
        databases: Mapping[str, str],
        services: Mapping[str, str],
        town: str | None = None,
        mail: str | None = None,
        bootstrap_servers: str | None = None,
        topic_prefix: str = "",
    ) -> None:
        self._clock, self._databases, self._servers, self._prefix = clock, databases, bootstrap_servers, topic_prefix
        self._services = {name: Peek(f"{url}/health/started") for name, url in services.items()}
        self._town, self._mail = (Peek(f"{url}/status") if url else None for url in (town, mail))
        self._pools: dict[str, Pool] = {}
        self._reader: AIOKafkaConsumer[bytes, bytes] | None = None
        self._places: list[TopicPartition] = []

    async def open(self) -> None:
        for service, url in self._databases.items():
            self._pools[service] = await asyncpg.create_pool(url, min_size=1, max_size=1)
        if self._servers:
            self._reader = AIOKafkaConsumer(bootstrap_servers=self._servers)
            await self._reader.start()
            self._places = [
                TopicPartition(self._prefix + each.name, n) for each in TOPICS for n in range(each.partitions)
            ]

    async def close(self) -> None:
        for peek in (*self._services.values(), self._town, self._mail):
            if peek:
                peek.close()
        for pool in self._pools.values():
            pool.terminate()
        if self._reader:
            await self._reader.stop()

    async def look(self, *, whole: bool = False) -> Look:
        """`whole`: ask everybody, whatever the first ones said."""
        look = Look(self._clock.now())
        await self._town_at(look)
        if look.busy and not whole:
            return look
        before = await self._ends()
        for place in (self._unread_at, self._services_at, self._databases_at):
            await place(look, before)
            if look.busy and not whole:
                return look
        await self._mails_at(look)
        if not look.busy and await self._ends() != before:
            look.work("topics", 1)
        return look

    async def open_timers(self) -> int:
        """How many things are still waited for, in the cases and in the points."""
        counts = [await self._pools[service].fetchval(_OPEN, _LASTING) for service in ("returns", "loyalty")]
        return sum(counts)

    async def _ends(self) -> Ends:
        if self._reader is None:
            return {}
        found: dict[str, dict[str, int]] = {}
        for place, end in (await self._reader.end_offsets(self._places)).items():
            if end:
                found.setdefault(place.topic, {})[str(place.partition)] = end
        return found

    async def _town_at(self, look: Look) -> None:
        look.story = await self._town.ask() if self._town else {}
        for name, answer in look.story.items():
            next_at = datetime.fromisoformat(answer["next_at"]) if answer["next_at"] else None
            look.work(name, answer["backlog"] + answer.get("in_hand", 0))
            look.due(name, next_at)
            if next_at:
                look.told_at = min(next_at, look.told_at or next_at)

    async def _unread_at(self, look: Look, ends: Ends) -> None:
        """What partners had not listened to yet, though it was written before the ends were asked for."""
        for name, answer in look.story.items():
            look.work(name, unread(ends, answer.get("taken", {})))

    async def _services_at(self, look: Look, ends: Ends) -> None:
        answers = await asyncio.gather(*(peek.ask() for peek in self._services.values()))
        for name, answer in zip(self._services, answers, strict=True):
            look.work(name, sum(answer["lag"].values()) + unread(ends, answer["taken"], self._prefix))

    async def _databases_at(self, look: Look, ends: Ends) -> None:
        await asyncio.gather(*(self._database_at(look, name, pool) for name, pool in self._pools.items()))

    async def _database_at(self, look: Look, name: str, pool: Pool) -> None:
        row = cast("asyncpg.Record", await pool.fetchrow(_WORK))
        look.work(f"outbox of {name}", row["outbox"])
        look.due(f"timers of {name}", row["timer"])
        if name == "delivery_notify":
            row = cast("asyncpg.Record", await pool.fetchrow(_NOTICES))
            look.due("notices", row["notice"])
            look.stop_at = min((moment for moment in row.values() if moment and moment > look.now), default=None)

    async def _mails_at(self, look: Look) -> None:
        """The mails that came until now were there to be read when the customers were asked."""
        if self._mail and "customers" in look.story:
            look.story["mail"] = await self._mail.ask()
            look.work("mails", look.story["mail"]["mails"] - look.story["customers"]["mails_read"])
