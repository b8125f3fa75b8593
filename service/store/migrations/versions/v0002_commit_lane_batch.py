"""One batch of a lane, in one call."""

from service.store.migrations import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Forward only: what a release has published is never taken back."""
    run_sql("0002_commit_lane_batch.sql")
