"""When half of a job was done, and the last successes of a type without looking at all of its jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what is read of the last runs of each type."""
    op.add_column("jobs", sa.Column("halfway_seconds", sa.Float(53)))
    op.create_index("jobs_by_success", "jobs", ["job_type", "status", "finished_at"])
