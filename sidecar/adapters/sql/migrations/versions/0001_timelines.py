"""Timelines, and up to where they are recorded. A database of before there were migrations has them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables that are missing."""
    op.create_table(
        "timeline",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True),
        sa.Column("event_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("details", sa.Text, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "recorded",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("position", sa.Text, nullable=False),
        if_not_exists=True,
    )
