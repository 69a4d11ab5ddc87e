"""Whole jobs, their attempts and the durations of their stages."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables, and let the recorder say where it stands in Redis' order."""
    op.create_table(
        "projects",
        sa.Column("project", sa.Text, primary_key=True),
        sa.Column("epoch", sa.Text, nullable=False),
        sa.Column("rev", sa.BigInteger, nullable=False),
    )
    _jobs()
    op.create_table(
        "tombstones",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("rev", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("deleted_at", sa.Float(53), nullable=False),
        sa.Column("is_ahead", sa.Boolean, nullable=False),
    )
    op.create_index("tombstones_of_project_by_rev", "tombstones", ["project", "rev"])
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("attempt", sa.BigInteger, primary_key=True),
        sa.Column("summary", sa.Text, nullable=False),
    )
    op.create_table(
        "stage_durations",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("attempt", sa.BigInteger, primary_key=True),
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("job_type", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("seconds", sa.Float(53), nullable=False),
        sa.Column("finished_at", sa.Float(53), nullable=False),
    )
    op.create_index("stage_durations_by_type", "stage_durations", ["job_type", "stage", "finished_at"])
    op.add_column("recorded", sa.Column("epoch", sa.Text, nullable=False, server_default=""))
    op.add_column("recorded", sa.Column("rev", sa.BigInteger, nullable=False, server_default="0"))
    _unique_events()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Text, primary_key=True),
        sa.Column("project", sa.Text, nullable=False),
        sa.Column("job_type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("parent_id", sa.Text),
        sa.Column("created_at", sa.Float(53), nullable=False),
        sa.Column("started_at", sa.Float(53)),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("finished_at", sa.Float(53)),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("rev", sa.BigInteger, nullable=False),
        sa.Column("copied_epoch", sa.Text, nullable=False),
        sa.Column("copied_rev", sa.BigInteger, nullable=False),
        sa.Column("is_ahead", sa.Boolean, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_index("jobs_by_creation", "jobs", ["created_at", "job_id"])
    op.create_index("jobs_by_update", "jobs", ["updated_at", "job_id"])
    op.create_index("jobs_of_project_by_creation", "jobs", ["project", "created_at", "job_id"])
    op.create_index("jobs_of_project_by_update", "jobs", ["project", "updated_at", "job_id"])
    op.create_index("jobs_of_project_by_rev", "jobs", ["project", "rev"])
    op.create_index("jobs_by_end", "jobs", ["finished_at"])
    op.create_index("jobs_by_parent", "jobs", ["parent_id"])
    op.create_index("jobs_by_status", "jobs", ["status", "created_at", "job_id"])
    op.create_index("jobs_by_type", "jobs", ["job_type", "created_at", "job_id"])
    ahead = sa.text("is_ahead")
    op.create_index("jobs_ahead", "jobs", ["is_ahead"], sqlite_where=ahead, postgresql_where=ahead)


def _unique_events() -> None:
    """Let an event be there once; of those that were written twice the first stays."""
    op.execute(
        "DELETE FROM timeline WHERE EXISTS (SELECT 1 FROM timeline AS earlier WHERE earlier.job_id = timeline.job_id"
        " AND earlier.event_id = timeline.event_id AND earlier.number < timeline.number)"
    )
    with op.batch_alter_table("timeline") as timeline:
        timeline.create_unique_constraint("timeline_event", ["job_id", "event_id"])
