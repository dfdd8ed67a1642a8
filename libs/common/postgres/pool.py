"""Postgres: the pool, and which errors pass by themselves."""

from typing import TYPE_CHECKING, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:  # asyncpg's classes are generic in its type stubs only
    Connection = asyncpg.Connection | PoolConnectionProxy
    Pool = asyncpg.Pool


class ConflictError(Exception):
    """Two transactions made the same row at the same time; done again, the second one sees the first."""


TRANSIENT: tuple[type[Exception], ...] = (
    ConflictError,
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""Errors after which the same transaction may well succeed: connection, deadlock, serialisation, restart, full disk."""


def is_transient(error: BaseException) -> bool:
    """Whether to roll back, wait and do the same again, rather than to park what was being done."""
    if isinstance(error, asyncpg.InterfaceError):
        # A wrong argument is an InterfaceError too; only a lost or closed connection heals.
        return "connection" in str(error)
    if isinstance(error, asyncpg.InternalClientError):
        # Postgres has ended the session, and the end of the connection is still on its way over a bad link.
        return "cannot switch to state" in str(error)
    return isinstance(error, TRANSIENT)


def strip_row_values(error: BaseException) -> None:
    """Take the values of rows out of an error, and of those behind it, before it is logged or kept.

    Postgres shows the whole row that breaks a constraint, and with it whoever it is about.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, asyncpg.PostgresError):
            seen.detail = None
        seen = seen.__cause__ or seen.__context__


async def _keep_session_state(conn: Connection) -> None:
    """Given back without a reset query, a round trip each: nothing here sets anything for longer than a transaction."""


async def create_pool(url: str, *, size: int, application_name: str) -> Pool:
    """A pool whose sessions cannot hang: statements, locks and idle transactions all have an end."""
    return await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=size,
        command_timeout=30,
        max_inactive_connection_lifetime=0,
        reset=_keep_session_state,
        server_settings={
            "application_name": application_name,
            "lock_timeout": "10s",
            "idle_in_transaction_session_timeout": "60s",
            "jit": "off",
            # Plans of prepared statements are kept, and those made while a table was young read it whole for ever
            # after. Whatever we ask often has an index; where there is none, this forbids nothing.
            "enable_seqscan": "off",
        },
    )
