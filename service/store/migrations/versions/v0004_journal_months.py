"""The journal's months, made without stopping those who read it and those who commit."""

from service.store.migrations import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Forward only: what a release has published is never taken back."""
    run_sql("0004_journal_months.sql")
