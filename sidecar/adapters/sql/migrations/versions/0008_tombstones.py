"""Tombstones also of what Redis deleted, many more than before: how those that are ahead are found, and old ones."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

IS_AHEAD = sa.text("is_ahead")


def upgrade() -> None:
    """Add the indexes by which they are found among the others."""
    op.create_index("tombstones_by_deletion", "tombstones", ["deleted_at"])
    op.create_index("tombstones_ahead", "tombstones", ["is_ahead"], sqlite_where=IS_AHEAD, postgresql_where=IS_AHEAD)
