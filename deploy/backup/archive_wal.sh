#!/bin/sh
# archive_command of Postgres: archive_wal.sh %p %f. Puts one WAL segment, compressed, into $BACKUPS/wal.
# Postgres repeats it until it succeeds, also after a crash in between: the same segment again is a success, another one
# under the same name never replaces what is there.
set -eu
segment="$1" name="$2" folder="${BACKUPS:?folder of the backups}/wal"
mkdir -p "$folder"
if [ -e "$folder/$name.gz" ]; then
    gzip -dc "$folder/$name.gz" | cmp -s - "$segment" && exit 0
    echo "$folder/$name.gz: holds another segment; two servers archive into one folder, give each its own" >&2
    exit 1
fi
partial="$folder/.$name.$$"
trap 'rm -f "$partial"' EXIT
gzip -1 -c "$segment" > "$partial"
sync "$partial" 2> /dev/null || sync
mv "$partial" "$folder/$name.gz"
