#!/bin/sh
# A base backup of the PostgreSQL at $PGHOST:$PGPORT, checked, in a folder of its own below BACKUPS. The last KEEP stay;
# older ones go, and of the archive of the write-ahead log what only they needed. Run it daily, as the user of the server.
#
#   backup.sh BACKUPS ARCHIVE [KEEP]
set -eu
backups=$1 archive=$2 keep=${3:-7}

made=$backups/$(date -u +%Y%m%dT%H%M%SZ)
rm -rf "$backups"/*.part
pg_basebackup --no-password --pgdata="$made.part" --checkpoint=fast --wal-method=stream
pg_verifybackup --quiet "$made.part"
mv "$made.part" "$made"

ls -d "$backups"/*Z | head -n "-$keep" | while read -r old; do rm -rf "$old"; done
oldest=$(ls -d "$backups"/*Z | head -n 1)
pg_archivecleanup "$archive" "$(sed -n 's/^START WAL LOCATION: .* (file \(.*\))$/\1/p' "$oldest/backup_label")"
echo "$made"
