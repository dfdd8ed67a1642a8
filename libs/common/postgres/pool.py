"""Postgres connection pool, and the classification of transient errors."""

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from libs.common.postgres import fast_arrays

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:  # asyncpg's classes are generic in its type stubs only
    Connection = asyncpg.Connection | PoolConnectionProxy
    Pool = asyncpg.Pool


class TransientError(Exception):
    """A retry may succeed; base of the errors of our own code for which that holds."""


class ConflictError(TransientError):
    """Two transactions created the same row concurrently; a retry sees the first one's row."""


TRANSIENT: tuple[type[Exception], ...] = (
    TransientError,
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.OutdatedSchemaCacheError,
    MemoryError,
)
"""Errors after which a retry may succeed: connection, deadlock, serialisation, restart, full disk or memory, or a
statement that was prepared before a migration changed its table."""


def is_transient(error: BaseException) -> bool:
    """Return whether a retry of the transaction may succeed."""
    if isinstance(error, asyncpg.InterfaceError):
        # A wrong argument is an InterfaceError, too; only a lost or closed connection is transient.
        return "connection" in str(error)
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        # Of several hosts all that answer are standbys: until one of them is promoted.
        return True
    if isinstance(error, asyncpg.InternalClientError):
        # Postgres ended the session, and the client has not received the end of the connection yet.
        return "cannot switch to state" in str(error)
    return isinstance(error, TRANSIENT)


def strip_row_values(error: BaseException) -> None:
    """Remove row values from an error and its causes before it is logged or stored.

    Postgres reports the whole row that violates a constraint, which may hold personal data.
    """
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, asyncpg.PostgresError):
            current.detail = None
        current = current.__cause__ or current.__context__


def describe(error: BaseException) -> str:
    """Return type and message of an error for a log line or a stored row, without row values."""
    strip_row_values(error)
    return f"{type(error).__name__}: {error}"


async def _keep_session_state(conn: Connection) -> None:
    """Skip the reset query, a round trip per release: no code changes session state beyond a transaction."""


SESSION_SETTINGS = {
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
    "jit": "off",
    # Plans of prepared statements are cached, and one made on a small table would keep its sequential scan. Frequent
    # queries have an index; without one, Postgres still scans.
    "enable_seqscan": "off",
}
"""Parameters that every connection sets at start-up."""


def _ignore(_: float) -> None:
    """Nobody measures this pool."""


class _MeasuredPool(Pool):
    """Pool that passes on how many seconds each acquisition took, of a free connection or a new one.

    `_acquire` is not public: revise this class when it moves.
    """

    def __init__(self, *arguments: Any, acquired: Callable[[float], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._acquired = acquired

    async def _acquire(self, timeout: float | None) -> Any:  # noqa: ASYNC109 - asyncpg's signature
        began = perf_counter()
        connection = await super()._acquire(timeout)  # type: ignore[misc]
        self._acquired(perf_counter() - began)
        return connection


async def create_pool(
    url: str,
    *,
    size: int,
    application_name: str,
    connection_class: type["asyncpg.Connection[asyncpg.Record]"] = asyncpg.Connection,
    acquired: Callable[[float], None] = _ignore,
) -> Pool:
    """Create a pool with timeouts on statements, locks and idle transactions.

    `acquired` is called with the seconds that each acquisition of a connection took.
    """
    fast_arrays.use()
    return await _MeasuredPool(
        url,
        acquired=acquired,
        connection_class=connection_class,
        record_class=asyncpg.Record,
        min_size=0,
        max_size=size,
        max_queries=50_000,
        command_timeout=30,
        max_inactive_connection_lifetime=0,
        setup=None,
        init=None,
        loop=None,
        reset=_keep_session_state,
        server_settings={"application_name": application_name, **SESSION_SETTINGS},
    )
