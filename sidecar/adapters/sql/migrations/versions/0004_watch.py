"""When jobs were last looked at, also for a Redis that has lost its data."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the watchdog remembers."""
    op.create_table(
        "watch",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("evaluated_at", sa.Float(53), nullable=False),
        sa.Column("settling_since", sa.Float(53), nullable=False),
        sa.Column("settling_until", sa.Float(53), nullable=False),
    )
