"""Since when a job waits to begin: a retry not since its first attempt was made."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; of jobs that are there already it is known with their next change."""
    op.add_column("jobs", sa.Column("opened_at", sa.Float(53)))
