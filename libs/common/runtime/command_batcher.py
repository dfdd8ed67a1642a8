"""Commands over HTTP, committed in groups: calls that arrive together share one transaction.

A lone call is answered as fast as ever; under load the batch grows by itself, at a pace of its own, and a call costs
about as much as an event. The first answer to an `Idempotency-Key` is stored in the same transaction as the change it
tells of. Refusals are not: they change nothing, so the same call is decided anew and hears the same for as long as it
is so.
"""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from libs.common.decisions.facts import Facts
from libs.common.events.registry import AnyEvent
from libs.common.http.problems import Answer, IdempotencyKey, Problem
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner, Incoming
from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.signal import WakeSignal
from libs.common.messaging.throttle import MinInterval
from libs.common.postgres.pool import ConflictError, Connection, Pool, is_transient
from libs.common.telemetry.tracing import Carrier

Respond = Callable[[Facts], Answer]

ANSWER_TIMEOUT_SECONDS = 8
"""How often a group is tried again on a transient error before its callers hear 503."""

SECONDS_BETWEEN_GROUPS = 0.01
"""See `pace`."""

MAX_WAITING = 2_000
"""More calls than this are told to come back rather than kept in memory."""


@dataclass(eq=False)
class _Call:
    event: AnyEvent
    respond: Respond
    idempotency: IdempotencyKey | None
    trace: Carrier | None
    done: asyncio.Future[Answer]


# try-lock first: a key whose first call still runs elsewhere must be told so, not waited for.
ADMIT = """
    SELECT k.n, pg_try_advisory_xact_lock(hashtextextended(k.caller || chr(31) || k.key, 0)) AS free,
           i.fingerprint, i.status, i.body
    FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (caller, key, n)
    LEFT JOIN idempotency i ON i.caller = k.caller AND i.key = k.key
    ORDER BY k.n"""
# A call may have been answered between our look and our lock, so the primary key has the last word.
STORE = """
    INSERT INTO idempotency (caller, key, fingerprint, status, body)
    SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::int[], $5::jsonb[])"""


@dataclass
class CommandBatcher:
    """The commands of one aggregate."""

    shell: DecisionRunner
    pool: Pool
    aggregate: Aggregate[Any]
    wake_relay: WakeSignal
    batch_size: int
    interval: MinInterval = field(default_factory=lambda: MinInterval(SECONDS_BETWEEN_GROUPS))
    _waiting: list[_Call] = field(default_factory=list)
    _running: set[tuple[str, str]] = field(default_factory=set)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute(self, event: AnyEvent, respond: Respond, idempotency: IdempotencyKey | None) -> Answer:
        """Decide on one command and commit it. Raises `Problem` 409, 422 or 503; else gives the answer."""
        if len(self._waiting) >= MAX_WAITING:
            raise Problem(503, "overloaded", "Too many calls are waiting; try again in a second.", retry_after=1)
        name = (idempotency.caller, idempotency.key) if idempotency else None
        if name in self._running:
            raise still_running()
        self.shell.tracing.describe(event.data)
        call = _Call(event, respond, idempotency, self.shell.tracing.current(), asyncio.Future())
        if name:
            self._running.add(name)
        try:
            self._waiting.append(call)
            self._arrived.set()
            return await call.done
        finally:
            if name:
                self._running.discard(name)

    async def run(self) -> None:
        """Take what waits, as one group, again and again; cancelled at shutdown."""
        while True:
            await self._arrived.wait()
            await self.interval.wait()
            self.interval.start()
            group, self._waiting = self._waiting[: self.batch_size], self._waiting[self.batch_size :]
            if not self._waiting:
                self._arrived.clear()
            await self._settle(group)

    async def _settle(self, group: list[_Call]) -> None:
        for attempt in range(ANSWER_TIMEOUT_SECONDS):
            try:
                await self._transact(group)
                return
            except Exception as error:
                if not is_transient(error):
                    await self._isolate(group, error)
                    return
            await asyncio.sleep(min(1.0, 0.02 * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311
        for call in group:
            _fail(call, Problem(503, "unavailable", "The database does not answer; try again soon.", retry_after=2))

    async def _isolate(self, group: list[_Call], error: Exception) -> None:
        """One bad call must not fail those that came with it."""
        if len(group) == 1:
            _fail(group[0], error)
            return
        for call in group:
            await self._settle([call])

    async def _transact(self, group: Sequence[_Call]) -> None:
        calls = [call for call in group if not call.done.done()]
        async with self.pool.acquire() as conn, conn.transaction():
            new, answers = await self._admit(conn, calls)
            outcomes = await self.shell.apply(conn, self.aggregate, [Incoming(call.event, call.trace) for call in new])
            fresh = [(call, _answer(call, facts)) for call, facts in zip(new, outcomes, strict=True)]
            await self._store(conn, fresh)
            failpoint("command_before_commit")
        failpoint("command_after_commit")
        self.wake_relay()
        for call, answer in (*answers, *fresh):
            if call.done.done():
                continue
            if isinstance(answer, Problem):
                call.done.set_exception(answer)
            else:
                call.done.set_result(answer)

    async def _admit(
        self, conn: Connection, calls: Sequence[_Call]
    ) -> tuple[list[_Call], list[tuple[_Call, Answer | Problem]]]:
        """Part the new calls from those that have their answer already."""
        keyed = [(call, call.idempotency) for call in calls if call.idempotency]
        new = [call for call in calls if not call.idempotency]
        answers: list[tuple[_Call, Answer | Problem]] = []
        if not keyed:
            return new, answers
        rows = await conn.fetch(ADMIT, [key.caller for _, key in keyed], [key.key for _, key in keyed])
        for (call, key), row in zip(keyed, rows, strict=True):
            if row["fingerprint"] is not None:
                answers.append((call, replayed(key, row)))
            elif not row["free"]:
                answers.append((call, still_running()))
            else:
                new.append(call)
        return new, answers

    async def _store(self, conn: Connection, answered: Sequence[tuple[_Call, Answer]]) -> None:
        # A refusal changed nothing, and its cause may pass (the order was still on its way): it is worked out anew.
        kept = [(call.idempotency, answer) for call, answer in answered if call.idempotency and answer.status < 400]
        if not kept:
            return
        try:
            await conn.execute(
                STORE,
                [key.caller for key, _ in kept],
                [key.key for key, _ in kept],
                [key.fingerprint for key, _ in kept],
                [answer.status for _, answer in kept],
                [json.dumps(answer.body) for _, answer in kept],
            )
        except asyncpg.UniqueViolationError as error:
            raise ConflictError("idempotency: another process answered this key at the same time") from error


def replayed(key: IdempotencyKey, row: Any) -> Answer | Problem:
    if row["fingerprint"] != key.fingerprint:
        return Problem(
            422,
            "idempotency_key_reused",
            "Idempotency-Key: this key was used for another body; take a new key for a new call.",
        )
    return Answer(row["status"], json.loads(row["body"]), replayed=True)


def _answer(call: _Call, facts: Facts) -> Answer:
    """What the route makes of the facts; a problem is an answer too, and kept like one."""
    try:
        return call.respond(facts)
    except Problem as problem:
        return problem.answer()


def still_running() -> Problem:
    return Problem(
        409, "still_running", "Idempotency-Key: the first call with this key still runs; ask again in a moment."
    )


def _fail(call: _Call, error: Exception) -> None:
    if not call.done.done():
        call.done.set_exception(error)
