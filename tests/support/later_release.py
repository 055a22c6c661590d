"""The release after this one, which brings a schema step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from freeplay_like.server.store import schema

STEP = '''"""What comes later."""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = "{before}"
{serves_from}

def upgrade():
    op.add_column("record", sa.Column("later", sa.Text(), nullable=True))
    op.create_table("later_table", sa.Column("key", sa.BigInteger(), primary_key=True))
'''
OURS = int(schema.HEAD)
LATER = f"{OURS + 1:04}"
Later: TypeAlias = Callable[[int | None], AbstractContextManager[None]]


@pytest.fixture
def later(tmp_path: Path) -> Callable[[int | None], AbstractContextManager[None]]:
    """Be the release after this one: its step says from which step on servers may go on."""

    @contextmanager
    def being(serves_from: int | None) -> Iterator[None]:
        said = "" if serves_from is None else f'serves_from = "{serves_from:04}"'
        (tmp_path / "later.py").write_text(STEP.format(revision=LATER, before=schema.HEAD, serves_from=said))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(schema, "_FOLDERS", (*schema._FOLDERS, tmp_path))
            patch.setattr(schema, "HEAD", LATER)
            yield

    return being
