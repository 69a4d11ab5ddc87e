"""How long a job waited: what is paused overnight tells nothing of how long such jobs run."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add it; of jobs that are there already it is known with their next change."""
    op.add_column("jobs", sa.Column("waited_seconds", sa.Float(53)))
