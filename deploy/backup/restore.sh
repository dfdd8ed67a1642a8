#!/bin/sh
# restore.sh [TIME]: fills the empty folder $PGDATA from $BACKUPS, to a moment (2026-11-29T03:00:00Z, UTC) or to the end
# of the archive. Postgres replays the WAL when it starts. Nothing in $BACKUPS is changed.
set -eu
backups="${BACKUPS:?folder of the backups}" data="${PGDATA:?folder to restore into}" until="${1:-}"
fail() { echo "restore: $1" >&2; exit 2; }
if [ -n "$(ls -A "$data" 2> /dev/null)" ]; then
    fail "$data is not empty; move it away first, it may hold the newest data: mv $data $data.before"
fi
if [ -n "$until" ] && ! echo "$until" | grep -Eq '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z$'; then
    fail "'$until' is no time in UTC; write 2026-11-29T03:00:00Z"
fi

moment="$(echo "${until%Z}" | sed 's/[:-]//g; s/\..*//')Z"
chosen=""
for each in $(ls "$backups/base" 2> /dev/null | sort); do
    # A copy can be rolled forward only from its end on, and is named by the second of its end.
    first="$(printf '%s\n%s\n' "$each" "$moment" | sort | head -n 1)"
    if [ -z "$until" ] || { [ "$first" = "$each" ] && [ "$each" != "$moment" ]; }; then chosen="$each"; fi
done
[ -n "$chosen" ] || fail "no base backup in $backups/base ${until:+ended before $until}; there are: $(ls "$backups/base" 2> /dev/null | tr '\n' ' ')"
pg_verifybackup --quiet "$backups/base/$chosen" || fail "$backups/base/$chosen is damaged; choose a time before it"

mkdir -p "$data"
chmod 700 "$data"
cp -Rp "$backups/base/$chosen/." "$data/"
{
    echo "restore_command = 'gzip -dc \"$backups/wal/%f.gz\" > \"%p\"'"
    echo "recovery_target_action = 'promote'"
    # Postgres knows no abbreviation of a time zone, such as Z, when it reads this. Without a time the line removes that of
    # an earlier restore, which the copy holds.
    echo "recovery_target_time = '$(echo "$until" | sed 's/T/ /; s/Z$/+00/')'"
} >> "$data/postgresql.auto.conf"
touch "$data/recovery.signal"
echo "restored $chosen ${until:+until $until}; start Postgres"
