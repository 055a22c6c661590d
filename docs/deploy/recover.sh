#!/bin/sh
# Fills the empty data folder DATA from a base backup and the archive of the write-ahead log, up to TIME (all there is
# where it is left out). Run it as the user of the server; then start PostgreSQL on the folder: it reads the log, ends at
# the moment asked for, and takes writes.
#
#   recover.sh BACKUP ARCHIVE DATA ['2026-11-21 14:00:00+00']
set -eu
backup=$1 archive=$2 data=$3 time=${4:-}

[ -z "$(ls -A "$data")" ] || { echo "$data is not empty" >&2; exit 1; }
cp -a "$backup/." "$data"
chmod 0700 "$data"
{
	echo "restore_command = 'cp $archive/%f %p'"
	echo "recovery_target_action = 'promote'"
	[ -z "$time" ] || echo "recovery_target_time = '$time'"
	# The standbys of the old primary are not there, and its archive is not to be written to before this one is the primary.
	echo "synchronous_standby_names = ''"
	echo "archive_mode = off"
} >>"$data/postgresql.auto.conf"
touch "$data/recovery.signal"
