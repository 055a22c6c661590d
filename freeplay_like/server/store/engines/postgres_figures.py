"""How a PostgreSQL is: who is connected, what its tables take, how near its standbys are.

Asked of the system's own views, which show everybody enough; but of standbys only a role in `pg_monitor` is told more
than that they are there.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.engines.database import ClusterFigures, StandbyFigures

APPLICATION: Final = "freeplay_like "
"""How the names of our connections begin; that of the server's machine and its process follow."""

_CLUSTER: Final = sa.text(
    "SELECT current_setting('application_name') AS server, current_setting('max_connections')::int AS most, "
    "current_setting('synchronous_standby_names') <> '' AS is_synchronous, "
    "(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used, "
    "(SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()) AS oldest_s"
)
_SERVERS: Final = sa.text(
    "SELECT DISTINCT application_name FROM pg_stat_activity "
    "WHERE datname = current_database() AND starts_with(application_name, :application) ORDER BY 1"
)
_TABLES: Final = sa.text(
    "SELECT coalesce(whole.relname, part.relname), sum(pg_total_relation_size(part.oid))::bigint AS size "
    "FROM pg_class AS part LEFT JOIN pg_inherits ON inhrelid = part.oid LEFT JOIN pg_class AS whole ON "
    "whole.oid = inhparent WHERE part.relkind = 'r' AND part.relnamespace = current_schema()::regnamespace "
    "GROUP BY 1 ORDER BY size DESC"
)
_STANDBYS: Final = sa.text(
    "SELECT application_name, coalesce(sync_state IN ('sync', 'quorum'), false), "
    "extract(epoch FROM replay_lag)::float, pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint "
    "FROM pg_stat_replication WHERE application_name <> 'pg_basebackup' ORDER BY 1"
)


def cluster(connection: sa.Connection, *, partitions_ahead: int, unsettled: int) -> ClusterFigures:
    """How it is at this moment."""
    found = connection.execute(_CLUSTER).one()
    servers = connection.scalars(_SERVERS, {"application": APPLICATION})
    return ClusterFigures(
        server=found.server.removeprefix(APPLICATION),
        servers=tuple(name.removeprefix(APPLICATION) for name in servers),
        connections=found.used,
        max_connections=found.most,
        oldest_transaction_s=found.oldest_s,
        is_synchronous=found.is_synchronous,
        standbys=tuple(
            StandbyFigures(name=name, is_synchronous=is_synchronous, lag_s=lag_s, lag_bytes=lag_bytes)
            for name, is_synchronous, lag_s, lag_bytes in connection.execute(_STANDBYS)
        ),
        tables={name: size for name, size in connection.execute(_TABLES)},
        partitions_ahead=partitions_ahead,
        unsettled=unsettled,
    )
