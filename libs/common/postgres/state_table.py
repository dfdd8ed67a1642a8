"""States of a service as rows: one JSON document each, with a version.

A state is a frozen dataclass, kept whole in a `jsonb` column; what is searched by is a generated column or an
expression index of the migration, so that there is one truth. Chosen over a column per field, because every event
changes few fields of a state that is always read and written whole, hundreds at a time.

A table for it looks like this::

    CREATE TABLE cases (key text PRIMARY KEY, version bigint NOT NULL, body jsonb NOT NULL,
                        status text GENERATED ALWAYS AS (body ->> 'status') STORED);
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter

from libs.common.postgres.pool import ConflictError, Connection

S = TypeVar("S")


@dataclass
class StateTable(Generic[S]):
    """Loads states locked, in key order, and saves them, a statement each way however many there are.

    `sparse` leaves out of a document what is as it is by default: shorter, where most fields of most states are. The
    defaults are then part of what is stored, and nothing may be looked for in the documents by SQL.
    """

    table: str
    adapter: TypeAdapter[S]
    sparse: bool = False
    _select: str = field(init=False)
    _upsert: str = field(init=False)

    def __post_init__(self) -> None:
        if not self.table.isidentifier():
            raise ValueError(f"table: {self.table!r} is not a plain SQL name")
        self._select = f"SELECT key, version, body FROM {self.table} WHERE key = ANY($1) ORDER BY key FOR UPDATE"  # noqa: S608
        # A key that did not exist could not be locked; if somebody else made it meanwhile the version tells.
        self._upsert = f"""
            INSERT INTO {self.table} AS old (key, version, body)
            SELECT * FROM unnest($1::text[], $2::bigint[], $3::jsonb[])
            ON CONFLICT (key) DO UPDATE SET version = excluded.version, body = excluded.body
            WHERE old.version = excluded.version - 1"""  # noqa: S608

    async def load(self, conn: Connection, keys: Sequence[str]) -> dict[str, tuple[int, S]]:
        """The states of these keys with their versions; keys without a state are absent."""
        rows = await conn.fetch(self._select, sorted(keys))
        return {row["key"]: (row["version"], self.adapter.validate_json(row["body"])) for row in rows}

    async def save(self, conn: Connection, states: Mapping[str, tuple[int, S]]) -> None:
        """Write states under the versions they were loaded with (0 where there was none).

        Raises `ConflictError` where another transaction made the same new key first: the batch is then done again.
        """
        if not states:
            return
        keys = sorted(states)
        versions = [states[key][0] + 1 for key in keys]
        bodies = [self.adapter.dump_json(states[key][1], exclude_defaults=self.sparse).decode() for key in keys]
        status = await conn.execute(self._upsert, keys, versions, bodies)
        if int(status.rsplit(" ", 1)[1]) != len(keys):
            raise ConflictError(f"{self.table}: a key was made by another transaction at the same time")


class Row(NamedTuple, Generic[S]):
    """A state with the row that it is in: its version, and the transaction that wrote it (`xmin`)."""

    version: int
    xmin: int
    state: S


@dataclass(slots=True)
class RowCache(Generic[S]):
    """States that this process wrote or read last, at most so many, each with its row.

    Where a row that was locked still has both its version and its `xmin`, its document need not be sent and parsed
    again. Whatever else has written it since, another replica or a hand, it is read anew; what was rolled back is a row
    that nobody will ever see. So a memory may be of no use, but never wrong. The version alone would not do: after a
    rollback somebody else can write the same one.
    """

    max_rows: int
    rows: dict[str, Row[S]] = field(default_factory=dict)

    def marks(self, keys: Sequence[str]) -> tuple[list[int | None], list[int | None]]:
        """Versions and `xmin` of these keys, as columns for the statement that locks them; None for what is unknown."""
        rows = [self.rows.get(key) for key in keys]
        return [row and row.version for row in rows], [row and row.xmin for row in rows]

    def keep(self, key: str, row: Row[S]) -> None:
        self.drop(key)
        self.rows[key] = row
        if len(self.rows) > self.max_rows:
            del self.rows[next(iter(self.rows))]

    def drop(self, key: str) -> None:
        self.rows.pop(key, None)
