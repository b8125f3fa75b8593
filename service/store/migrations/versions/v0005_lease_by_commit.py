"""Each commit of a lane renews its lease."""

from service.store.migrations import run_sql

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Forward only: what a release has published is never taken back."""
    run_sql("0005_lease_by_commit.sql")
