"""Databases that go from test to test: lent out clean, and lent again only if they can be made clean.

To clone a migrated database costs more than most tests do, since three hundred files are copied. So a worker keeps what
it has cloned. After a test the tables that hold rows are emptied and sequences put back; then everything that a test
could have changed (tables, rights, triggers, functions, rows that a migration made) is compared with what a fresh clone
has. Where one thing differs the database is dropped.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import asyncpg

from deploy.local import postgres

_EMPTY = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET session_replication_role = replica;  -- Triggers that forbid it are for the services.
    DO $$
    DECLARE
        one text;
        filled text[];
    BEGIN
        SELECT coalesce(array_agg(oid::regclass::text), '{}') INTO filled FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'migrations'
            AND pg_relation_size(oid) > 0;
        IF filled <> '{}' THEN
            EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' CASCADE';
        END IF;
        FOR one IN SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences WHERE last_value IS NOT NULL
        LOOP
            EXECUTE 'ALTER SEQUENCE ' || one || ' RESTART';
        END LOOP;
        PERFORM set_config('tests.filled', array_to_string(filled, ', '), false);
    END $$;
    RESET session_replication_role;
    SELECT pg_stat_reset()"""

_STATE = """
    SELECT md5(concat_ws(E'\\n',
        (SELECT string_agg(nspname || coalesce(nspacl::text, '') || nspowner, ',' ORDER BY nspname)
         FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'),
        (SELECT string_agg(concat_ws(' ', relname, relnamespace, relkind, relowner, relacl, reloptions, relpersistence,
                                     relhastriggers, relispartition, relrowsecurity), ',' ORDER BY oid)
         FROM pg_class WHERE relkind IN ('r', 'p', 'i', 'I', 'S', 'v', 'm') AND oid >= 16384),
        (SELECT string_agg(concat_ws(' ', attrelid, attnum, attname, atttypid, atttypmod, attnotnull, attacl,
                                     attstattarget), ',' ORDER BY attrelid, attnum)
         FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0),
        (SELECT string_agg(concat_ws(' ', adrelid, adnum, md5(adbin::text)), ',' ORDER BY adrelid, adnum)
         FROM pg_attrdef),
        (SELECT string_agg(concat_ws(' ', conrelid, conname, contype, convalidated, conkey, confrelid, confkey,
                                     confdeltype, md5(conbin::text)), ',' ORDER BY oid)
         FROM pg_constraint WHERE oid >= 16384),
        (SELECT string_agg(concat_ws(' ', indexrelid, indisvalid, indisunique), ',' ORDER BY indexrelid)
         FROM pg_index WHERE indexrelid >= 16384),
        (SELECT string_agg(concat_ws(' ', tgrelid, tgname, tgenabled, tgtype, tgfoid), ',' ORDER BY oid)
         FROM pg_trigger),
        (SELECT string_agg(concat_ws(' ', oid, md5(prosrc), proowner, proacl, prosecdef, proconfig), ',' ORDER BY oid)
         FROM pg_proc WHERE oid >= 16384),
        (SELECT string_agg(concat_ws(' ', oid, typname, typtype), ',' ORDER BY oid)
         FROM pg_type WHERE oid >= 16384 AND typtype IN ('e', 'd', 'r')),
        (SELECT string_agg(concat_ws(' ', enumtypid, enumlabel), ',' ORDER BY oid) FROM pg_enum),
        (SELECT string_agg(concat_ws(' ', objoid, classoid, objsubid, description), ',' ORDER BY objoid, objsubid)
         FROM pg_description WHERE objoid >= 16384),
        (SELECT string_agg(extname, ',' ORDER BY extname) FROM pg_extension),
        (SELECT string_agg(concat_ws(' ', schemaname, sequencename, start_value, increment_by, last_value), ','
                           ORDER BY sequencename) FROM pg_sequences),
        (SELECT string_agg(concat_ws(' ', defaclrole, defaclobjtype, defaclacl), ',') FROM pg_default_acl),
        (SELECT string_agg(concat_ws(' ', setrole, setconfig), ',') FROM pg_db_role_setting
         WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())),
        (SELECT concat_ws(' ', datacl, datdba, datallowconn, datconnlimit) FROM pg_database
         WHERE datname = current_database()),
        (SELECT count(*) FROM pg_largeobject_metadata),
        (SELECT string_agg(m::text, ',' ORDER BY origin, number) FROM migrations m)))"""


@dataclass(frozen=True)
class Emptied:
    """Which tables had pages, and a digest of all that was left."""

    filled: str
    digest: str


async def empty(admin_url: str, name: str) -> Emptied:
    """Take all rows out of a database, and end the sessions of whoever still uses it."""
    conn = await asyncpg.connect(postgres.url_of(admin_url, database=name), server_settings={"jit": "off"})
    try:
        await conn.execute(_EMPTY)
        row = await conn.fetchrow(f"SELECT current_setting('tests.filled') AS filled, ({_STATE}) AS digest")
        assert row is not None
        return Emptied(**row)
    finally:
        await conn.close()


@dataclass
class Spare:
    """The databases that no test of this process uses at present, by service."""

    _free: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _clean: dict[str, Emptied] = field(default_factory=dict)

    def take(self, service: str) -> str | None:
        return self._free[service].pop() if self._free[service] else None

    async def know(self, admin_url: str, service: str, fresh: str) -> None:
        """Look at a fresh clone once. If migrations leave rows in it, no clone can be made clean again."""
        if service not in self._clean:
            self._clean[service] = await empty(admin_url, fresh)

    async def give_back(self, admin_url: str, service: str, name: str) -> bool:
        """Keep a database for the next test; False if it is not what a fresh one is, and has to be dropped."""
        clean = self._clean[service]
        try:
            now = await empty(admin_url, name)
        except (asyncpg.PostgresError, OSError):
            return False
        if clean.filled or now.digest != clean.digest:
            return False
        self._free[service].append(name)
        return True

    def take_all(self) -> list[str]:
        names = [name for free in self._free.values() for name in free]
        self._free.clear()
        return names


SPARE = Spare()
