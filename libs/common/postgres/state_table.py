"""States as rows: one JSON document per key, with a version for optimistic locking.

A state is a frozen dataclass in a `jsonb` column; searchable values are generated columns or expression indexes. A
column per field was rejected: states are always read and written whole, hundreds at a time.

Its table::

    CREATE TABLE cases (key text PRIMARY KEY, version bigint NOT NULL, body jsonb NOT NULL,
                        status text GENERATED ALWAYS AS (body ->> 'status') STORED);
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter

from libs.common.postgres.batch import row_count
from libs.common.postgres.pool import ConflictError, Connection

S = TypeVar("S")


@dataclass
class StateTable(Generic[S]):
    """Loads states, locked in key order, and saves them, with one statement each.

    `sparse` omits default values from documents, which shortens them where most fields have defaults. The defaults are
    then part of the stored format, and SQL must not search the documents.
    """

    table: str
    adapter: TypeAdapter[S]
    sparse: bool = False
    _select: str = field(init=False)
    _upsert: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.table.isidentifier():
            raise ValueError(f"table: {self.table!r} is not a valid SQL name; use letters, digits and underscores")
        self._select = f"SELECT key, version, body FROM {self.table} WHERE key = ANY($1) ORDER BY key FOR UPDATE"  # noqa: S608
        # A key without a row cannot be locked; the version detects a row created meanwhile.
        self._upsert = f"""
            INSERT INTO {self.table} AS old (key, version, body)
            SELECT * FROM unnest($1::text[], $2::bigint[], $3::jsonb[])
            ON CONFLICT (key) DO UPDATE SET version = excluded.version, body = excluded.body
            WHERE old.version = excluded.version - 1"""  # noqa: S608

    async def load(self, conn: Connection, keys: Sequence[str]) -> dict[str, tuple[int, S]]:
        """Return the states of these keys with their versions; keys without a state are absent."""
        rows = await conn.fetch(self._select, sorted(keys))
        return {row["key"]: (row["version"], self.adapter.validate_json(row["body"])) for row in rows}

    async def save(self, conn: Connection, states: Mapping[str, tuple[int, S]]) -> None:
        """Write states with the versions they were loaded with (0 for a new key).

        Raises `ConflictError` if another transaction created the same key first; the batch is then retried.
        """
        if not states:
            return
        keys = sorted(states)
        versions = [states[key][0] + 1 for key in keys]
        bodies = [self.adapter.dump_json(states[key][1], exclude_defaults=self.sparse).decode() for key in keys]
        status = await conn.execute(self._upsert, keys, versions, bodies)
        if row_count(status) != len(keys):
            raise ConflictError(f"{self.table}: another transaction created a key at the same time")


class VersionedRow(NamedTuple, Generic[S]):
    """A state with the version of its row and the transaction that wrote it (`xmin`)."""

    version: int
    xmin: int
    state: S


@dataclass(slots=True)
class RowCache(Generic[S]):
    """Cache of the states read or written last by this process, at most `max_rows`.

    A cached row is used only if version and `xmin` of the locked row still match; its document is then not sent and
    parsed again. The version alone is not enough: after a rollback another process can write the same version.
    """

    max_rows: int
    rows: dict[str, VersionedRow[S]] = field(default_factory=dict)

    def marks(self, keys: Sequence[str]) -> tuple[list[int | None], list[int | None]]:
        """Return versions and `xmin` of these keys as column arrays for the locking statement; None if not cached."""
        rows = [self.rows.get(key) for key in keys]
        return [row and row.version for row in rows], [row and row.xmin for row in rows]

    def keep(self, key: str, row: VersionedRow[S]) -> None:
        self.drop(key)
        self.rows[key] = row
        if len(self.rows) > self.max_rows:
            del self.rows[next(iter(self.rows))]

    def drop(self, key: str) -> None:
        self.rows.pop(key, None)
