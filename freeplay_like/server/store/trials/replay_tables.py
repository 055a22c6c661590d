"""The tables of replays: recorded calls that are asked again, and what the playground asks."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.tables import Key, metadata

replay_job: Final = sa.Table(
    "replay_job",
    metadata,
    sa.Column("key", Key, primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_key", sa.ForeignKey("project.key"), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("is_bulk", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("owner", sa.String(36)),
    sa.Column("lease_until", sa.BigInteger, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("created_by", sa.String(36)),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("zstd", sa.LargeBinary, nullable=False),
    sa.Index(None, "state", "lease_until"),
)
"""What is to be asked. `zstd` is the JSON of a `ReplaySpec`; `created_by` is a person's id. A running job belongs to
the server `owner` until `lease_until`. One that is not `is_bulk` has somebody waiting before it, and goes first."""

replay_item: Final = sa.Table(
    "replay_item",
    metadata,
    sa.Column("job_key", sa.ForeignKey("replay_job.key"), primary_key=True),
    sa.Column("place", sa.BigInteger, primary_key=True),
    sa.Column("choice", sa.BigInteger, nullable=False),
    sa.Column("source_id", sa.String(64), index=True),
    sa.Column("record_id", sa.String(64), index=True),
    sa.Column("likeness", sa.Float),
    sa.Column("problem", sa.Text),
)
"""The calls of a job. `choice` is the number of the change that is made, `source_id` the recorded call that is asked
again, `record_id` the call that it led to, chosen before it is made. `likeness` is how alike the two answers are, 1
where they are equal; `problem` why nothing was sent."""
