"""Which jobs are stuck, and when they got on: what is told of them while Redis is away."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; of jobs that are there already it is known with their next change."""
    op.add_column("jobs", sa.Column("progress_at", sa.Float(53)))
    op.add_column("jobs", sa.Column("stall_reason", sa.Text))
    op.add_column("jobs", sa.Column("stalled_since", sa.Float(53)))
    op.execute("UPDATE jobs SET progress_at = updated_at WHERE finished_at IS NULL")
    op.create_index("jobs_by_progress", "jobs", ["finished_at", "progress_at"])
    is_stuck = sa.text("stall_reason IS NOT NULL")
    op.create_index("jobs_stalled", "jobs", ["stalled_since"], sqlite_where=is_stuck, postgresql_where=is_stuck)
