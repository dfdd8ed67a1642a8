"""Group commit of HTTP commands: calls that arrive together share one transaction.

A single call is committed at once. Under load groups grow, and a call costs about as much as an event. The first answer
to an `Idempotency-Key` is stored in the same transaction as the change. Refusals are not stored: they change nothing,
so a repeated call is decided again, by the state of that moment.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.common.decisions.backoff import backoff_seconds
from libs.common.decisions.facts import Facts
from libs.common.events.registry import AnyEvent
from libs.common.http import idempotency
from libs.common.http.idempotency import IdempotencyKey
from libs.common.http.problems import Answer, Problem
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner, Incoming
from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.signal import WakeSignal
from libs.common.postgres.pool import Connection, Pool, is_transient
from libs.common.telemetry.trace_context import Carrier

Respond = Callable[[Facts], Answer]

Besides = Callable[[Connection], Awaitable[None]]
"""Rows that a call writes beside its decision, in the same transaction; not for a refusal or a repeated call."""

MAX_ATTEMPTS = 8
"""Attempts of a group on transient errors before its callers get 503."""

MAX_WAITING = 2_000
"""Maximum number of waiting commands; further calls get 503 with Retry-After."""


def retry_pause(attempt: int) -> float:
    """Return the seconds to wait after this attempt (from 0) failed with a transient error."""
    return backoff_seconds(0.02, attempt, longest=1.0, jitter=random.random())  # noqa: S311


def unavailable() -> Problem:
    return Problem(503, "unavailable", "The database does not answer; try again soon.", retry_after=2)


@dataclass(eq=False)
class _Call:
    event: AnyEvent
    respond: Respond
    idempotency: IdempotencyKey | None
    trace: Carrier | None
    done: asyncio.Future[Answer]
    besides: Besides | None = None


@dataclass
class CommandBatcher:
    """The commands of one aggregate."""

    runner: DecisionRunner
    pool: Pool
    aggregate: Aggregate[Any]
    wake_relay: WakeSignal
    batch_size: int
    open_commands: int = 0
    """Commands received and not answered yet."""
    _waiting: list[_Call] = field(default_factory=list)
    _running: set[tuple[str, str]] = field(default_factory=set)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute(
        self, event: AnyEvent, respond: Respond, key: IdempotencyKey | None, besides: Besides | None = None
    ) -> Answer:
        """Decide on one command, commit it and return the answer. Raises `Problem` 409, 422 or 503."""
        if len(self._waiting) >= MAX_WAITING:
            raise Problem(503, "overloaded", "Too many calls are waiting; try again in a second.", retry_after=1)
        name = (key.caller, key.key) if key else None
        if name in self._running:
            raise idempotency.still_running()
        self.runner.tracing.describe(event.data)
        call = _Call(event, respond, key, self.runner.tracing.current(), asyncio.Future(), besides)
        if name:
            self._running.add(name)
        self.open_commands += 1
        try:
            self._waiting.append(call)
            self._arrived.set()
            return await call.done
        finally:
            self.open_commands -= 1
            if name:
                self._running.discard(name)

    async def run(self) -> None:
        """Commit waiting commands group by group until cancelled."""
        while True:
            await self._arrived.wait()
            group, self._waiting = self._waiting[: self.batch_size], self._waiting[self.batch_size :]
            if not self._waiting:
                self._arrived.clear()
            await self._settle(group)

    async def _settle(self, group: list[_Call]) -> None:
        for attempt in range(MAX_ATTEMPTS):
            try:
                await self._transact(group)
                return
            except Exception as error:
                if not is_transient(error):
                    await self._isolate(group, error)
                    return
            await asyncio.sleep(retry_pause(attempt))
        for call in group:
            _fail(call, unavailable())

    async def _isolate(self, group: list[_Call], error: Exception) -> None:
        """Commit the calls of a failed group one by one, so that only the faulty one fails."""
        if len(group) == 1:
            _fail(group[0], error)
            return
        for call in group:
            await self._settle([call])

    async def _transact(self, group: Sequence[_Call]) -> None:
        calls = [call for call in group if not call.done.done()]
        async with self.pool.acquire() as conn, conn.transaction():
            new, replayed = await _admit(conn, calls)
            outcomes = await self.runner.apply(conn, self.aggregate, [Incoming(call.event, call.trace) for call in new])
            fresh = [(call, _answer(call, facts)) for call, facts in zip(new, outcomes, strict=True)]
            # A refusal changed nothing and its cause may pass (an order not consumed yet): it is not stored.
            stored = [(call.idempotency, answer) for call, answer in fresh if call.idempotency and answer.status < 400]
            if stored:
                await idempotency.store(conn, stored)
            for call, decided in fresh:
                if call.besides and decided.status < 400:
                    await call.besides(conn)
            failpoint("command_before_commit")
        failpoint("command_after_commit")
        self.wake_relay()
        self.runner.committed(outcomes)
        for call, answer in (*replayed, *fresh):
            if call.done.done():
                continue
            if isinstance(answer, Problem):
                call.done.set_exception(answer)
            else:
                call.done.set_result(answer)


async def _admit(conn: Connection, calls: Sequence[_Call]) -> tuple[list[_Call], list[tuple[_Call, Answer | Problem]]]:
    """Return the new calls, and those whose key was used before with the answer to replay."""
    new = [call for call in calls if not call.idempotency]
    replayed: list[tuple[_Call, Answer | Problem]] = []
    keyed = [(call, call.idempotency) for call in calls if call.idempotency]
    if not keyed:
        return new, replayed
    for (call, _), earlier in zip(keyed, await idempotency.admit(conn, [key for _, key in keyed]), strict=True):
        if earlier is None:
            new.append(call)
        else:
            replayed.append((call, earlier))
    return new, replayed


def _answer(call: _Call, facts: Facts) -> Answer:
    """Return the route's answer for these facts; a `Problem` becomes an answer, too."""
    try:
        return call.respond(facts)
    except Problem as problem:
        return problem.answer()


def _fail(call: _Call, error: Exception) -> None:
    if not call.done.done():
        call.done.set_exception(error)
