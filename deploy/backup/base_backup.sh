#!/bin/sh
# Copies the whole server into $BACKUPS/base/<time of its end, UTC> and verifies the copy. Keeps the newest $KEEP copies
# (7) and the WAL that they need. Connects as psql does: PGHOST, PGPORT, PGUSER, PGPASSWORD.
set -eu
base="${BACKUPS:?folder of the backups}/base" wal="$BACKUPS/wal" keep="${KEEP:-7}"
case "$keep" in '' | *[!0-9]* | 0*) echo "KEEP: '$keep' is no number of backups; use 1 or more" >&2; exit 2 ;; esac
mkdir -p "$base" "$wal"
partial="$base/.partial"
rm -rf "$partial"  # of a backup that was interrupted
trap 'rm -rf "$partial"' EXIT
pg_basebackup --pgdata="$partial" --checkpoint=fast --wal-method=stream --manifest-checksums=SHA256 --no-password
pg_verifybackup --quiet "$partial"
finished="$(date -u +%Y%m%dT%H%M%SZ)"
mv "$partial" "$base/$finished"
echo "$base/$finished"

ls "$base" | sort -r | tail -n "+$((keep + 1))" | while read -r old; do rm -rf "${base:?}/$old"; done
oldest="$base/$(ls "$base" | sort | head -n 1)"
first="$(sed -n 's/^START WAL LOCATION: .*(file \(.*\))$/\1/p' "$oldest/backup_label")"
pg_archivecleanup -x .gz "$wal" "$first"
