"""Locks for attempts that are counted one after the other per subject, in all processes."""

LOCK_SUBJECTS = """
    SELECT pg_advisory_xact_lock(k) FROM (
        SELECT DISTINCT ('x' || substr(encode(s, 'hex'), 1, 16))::bit(64)::bigint AS k
        FROM unnest($1::bytea[]) AS s ORDER BY k) AS keys"""
