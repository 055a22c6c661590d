#!/bin/sh
# /usr/local/bin/freeplay-like, for root: the command as the servers run it, as their user and over their database.
set -eu
set -a
. /etc/freeplay-like/server.env
HOME=/var/lib/freeplay-like
set +a
cd "$HOME"
exec runuser -u freeplay-like -- /opt/freeplay-like/bin/freeplay-like "$@"
