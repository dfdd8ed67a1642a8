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

from deploy.demo.status_poll import StatusClient
from libs.common.decisions.clock import SharedClock
from libs.common.events.topics import TOPICS
from libs.common.postgres.pool import Pool

_WORK = "SELECT (SELECT count(*) FROM outbox) AS outbox, (SELECT min(due_at) FROM timers) AS timer"
_NOTICES = """
    SELECT (SELECT min(CASE WHEN n.withdrawn IS NOT NULL OR EXISTS (
                SELECT 1 FROM contacts c WHERE c.order_id = n.order_id) THEN n.due_at ELSE n.contact_by END)
            FROM notices n WHERE n.settled_at IS NULL) AS notice,
           (SELECT min(due_at) FROM timers WHERE name = 'overdue') AS promise"""
"""A notice of which nobody knows yet whom to write to is not due before its wait for that is over."""
_OPEN = "SELECT count(*) FROM timers WHERE split_part(name, ':', 1) <> ALL($1)"
_LASTING = ["expiry", "tier", "birthday"]
"""Timers of loyalty that are always set, for things that are months away."""

Offsets = Mapping[str, Mapping[str, int]]
"""By topic and partition (as text, for so JSON has it), the offset that the next record gets; 0 is left out."""


@dataclass
class Snapshot:
    """What one look around found. `busy` names who has something to do now, and how much; where it is not empty, the
    rest says nothing. `next_at`: when the next thing is due, `stop_at`: the next word to a customer (those moments are
    not passed over, for a promise breaks soon after), `told_at`: when a partner speaks next."""

    now: datetime
    busy: dict[str, int] = field(default_factory=dict)
    next_at: datetime | None = None
    next_notice_at: datetime | None = None
    next_partner_event_at: datetime | None = None
    partners: dict[str, Any] = field(default_factory=dict)

    def add(self, who: str, count: int) -> None:
        if count:
            self.busy[who] = self.busy.get(who, 0) + count

    def due(self, who: str, moment: datetime | None) -> None:
        if moment is None:
            return
        if moment <= self.now:
            self.add(who, 1)
        elif self.next_at is None or moment < self.next_at:
            self.next_at = moment


def unread_records(ends: Offsets, taken: Offsets, prefix: str = "") -> int:
    """Records that were written and not taken by somebody who says how far they have come in each of their topics."""
    return sum(
        max(0, end - partitions.get(partition, 0))
        for topic, partitions in taken.items()
        for partition, end in ends.get(prefix + topic, {}).items()
    )


class QuiescenceProbe:
    """Knows where everybody is; `databases` and `services` by service, the partners in their `town`."""

    def __init__(
        self,
        clock: SharedClock,
        databases: Mapping[str, str],
        services: Mapping[str, str],
        simulator: str | None = None,
        mail: str | None = None,
        bootstrap_servers: str | None = None,
        topic_prefix: str = "",
    ) -> None:
        self._clock, self._databases, self._servers, self._prefix = clock, databases, bootstrap_servers, topic_prefix
        self._services = {name: StatusClient(f"{url}/health/started") for name, url in services.items()}
        self.simulator_client, self._mail = (
            StatusClient(f"{url}/status") if url else None for url in (simulator, mail)
        )
        self._pools: dict[str, Pool] = {}
        self._reader: AIOKafkaConsumer[bytes, bytes] | None = None
        self._partitions: list[TopicPartition] = []

    async def open(self) -> None:
        for service, url in self._databases.items():
            self._pools[service] = await asyncpg.create_pool(url, min_size=1, max_size=1)
        if self._servers:
            self._reader = AIOKafkaConsumer(bootstrap_servers=self._servers)
            await self._reader.start()
            self._partitions = [
                TopicPartition(self._prefix + each.name, n) for each in TOPICS for n in range(each.partitions)
            ]

    async def close(self) -> None:
        for peek in (*self._services.values(), self.simulator_client, self._mail):
            if peek:
                peek.close()
        for pool in self._pools.values():
            pool.terminate()
        if self._reader:
            await self._reader.stop()

    async def take_snapshot(self, *, complete: bool = False) -> Snapshot:
        """`whole`: ask everybody, whatever the first ones said."""
        look = Snapshot(self._clock.now())
        await self._poll_partners(look)
        if look.busy and not complete:
            return look
        before = await self._ends()
        for place in (self._poll_partner_lag, self._poll_services, self._poll_databases):
            await place(look, before)
            if look.busy and not complete:
                return look
        await self._poll_mail(look)
        if not look.busy and await self._ends() != before:
            look.add("topics", 1)
        return look

    async def open_timers(self) -> int:
        """How many things are still waited for, in the cases and in the points."""
        counts = [await self._pools[service].fetchval(_OPEN, _LASTING) for service in ("returns", "loyalty")]
        return sum(counts)

    async def _ends(self) -> Offsets:
        if self._reader is None:
            return {}
        found: dict[str, dict[str, int]] = {}
        for place, end in (await self._reader.end_offsets(self._partitions)).items():
            if end:
                found.setdefault(place.topic, {})[str(place.partition)] = end
        return found

    async def _poll_partners(self, look: Snapshot) -> None:
        look.partners = await self.simulator_client.get() if self.simulator_client else {}
        for name, answer in look.partners.items():
            next_at = datetime.fromisoformat(answer["next_at"]) if answer["next_at"] else None
            look.add(name, answer["backlog"] + answer.get("open_tasks", 0))
            look.due(name, next_at)
            if next_at:
                look.next_partner_event_at = min(next_at, look.next_partner_event_at or next_at)

    async def _poll_partner_lag(self, look: Snapshot, ends: Offsets) -> None:
        """What partners had not listened to yet, though it was written before the ends were asked for."""
        for name, answer in look.partners.items():
            look.add(name, unread_records(ends, answer.get("taken", {})))

    async def _poll_services(self, look: Snapshot, ends: Offsets) -> None:
        answers = await asyncio.gather(*(peek.get() for peek in self._services.values()))
        for name, answer in zip(self._services, answers, strict=True):
            look.add(name, sum(answer["lag"].values()) + unread_records(ends, answer["taken"], self._prefix))

    async def _poll_databases(self, look: Snapshot, ends: Offsets) -> None:
        await asyncio.gather(*(self._poll_database(look, name, pool) for name, pool in self._pools.items()))

    async def _poll_database(self, look: Snapshot, name: str, pool: Pool) -> None:
        row = cast("asyncpg.Record", await pool.fetchrow(_WORK))
        look.add(f"outbox of {name}", row["outbox"])
        look.due(f"timers of {name}", row["timer"])
        if name == "delivery_notify":
            row = cast("asyncpg.Record", await pool.fetchrow(_NOTICES))
            look.due("notices", row["notice"])
            look.next_notice_at = min((moment for moment in row.values() if moment and moment > look.now), default=None)

    async def _poll_mail(self, look: Snapshot) -> None:
        """The mails that came until now were there to be read when the customers were asked."""
        if self._mail and "customers" in look.partners:
            look.partners["mail"] = await self._mail.get()
            look.add("mails", look.partners["mail"]["mails"] - look.partners["customers"]["mails_read"])
