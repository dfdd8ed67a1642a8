"""Pool of test databases: reset after each test, reused only if equal to a fresh clone.

Cloning a migrated database copies about 300 files and takes longer than most tests, so each worker reuses its clones.
A reset truncates the tables with rows and restarts the sequences. The rest of the catalog (tables, grants, triggers,
functions, rows of migrations) is compared with a fresh clone by digest; a database that differs is dropped.
"""

from collections import defaultdict
from dataclasses import dataclass, field

import asyncpg

from deploy.local import postgres

_RESET = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    SET session_replication_role = replica;  -- Disables the triggers that forbid TRUNCATE to services.
    DO $$
    DECLARE
        sequence text;
        filled text[];
    BEGIN
        SELECT coalesce(array_agg(oid::regclass::text), '{}') INTO filled FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'migrations'
            AND pg_relation_size(oid) > 0;
        IF filled <> '{}' THEN
            EXECUTE 'TRUNCATE ' || array_to_string(filled, ', ') || ' CASCADE';
        END IF;
        FOR sequence IN SELECT format('%I.%I', schemaname, sequencename) FROM pg_sequences WHERE last_value IS NOT NULL
        LOOP
            EXECUTE 'ALTER SEQUENCE ' || sequence || ' RESTART';
        END LOOP;
        PERFORM set_config('tests.filled', array_to_string(filled, ', '), false);
    END $$;
    RESET session_replication_role;
    SELECT pg_stat_reset()"""

_DIGEST = """
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
class CleanState:
    """Result of a reset: the tables that had rows, and a digest of the catalog."""

    filled: str
    digest: str


async def truncate_all(admin_url: str, name: str) -> CleanState:
    """Truncate all tables of a database and terminate its other sessions."""
    conn = await asyncpg.connect(postgres.url_of(admin_url, database=name), server_settings={"jit": "off"})
    try:
        await conn.execute(_RESET)
        row = await conn.fetchrow(f"SELECT current_setting('tests.filled') AS filled, ({_DIGEST}) AS digest")
        assert row is not None
        return CleanState(**row)
    finally:
        await conn.close()


@dataclass
class DatabasePool:
    """Idle databases of this process by service, and the clean state of a fresh clone."""

    _idle: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    _baselines: dict[str, CleanState] = field(default_factory=dict)

    def acquire(self, service: str) -> str | None:
        return self._idle[service].pop() if self._idle[service] else None

    async def record_baseline(self, admin_url: str, service: str, clone: str) -> None:
        """Record the clean state of a fresh clone, once per service; if migrations insert rows, no clone is reused."""
        if service not in self._baselines:
            self._baselines[service] = await truncate_all(admin_url, clone)

    async def release(self, admin_url: str, service: str, name: str) -> bool:
        """Reset a database and keep it for the next test; return false if it differs and must be dropped."""
        clean = self._baselines[service]
        try:
            now = await truncate_all(admin_url, name)
        except (asyncpg.PostgresError, OSError):
            return False
        if clean.filled or now.digest != clean.digest:
            return False
        self._idle[service].append(name)
        return True

    def drain(self) -> list[str]:
        names = [name for idle in self._idle.values() for name in idle]
        self._idle.clear()
        return names


IDLE_DATABASES = DatabasePool()
