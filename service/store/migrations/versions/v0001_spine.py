"""The spine: lanes, orders, journal, operations, timers, parked and dead letters."""

from service.store.migrations import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Forward only: what a release has published is never taken back."""
    run_sql("0001_spine.sql")
