"""Dead letters are found by their key."""

from service.store.migrations import run_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Forward only: what a release has published is never taken back."""
    run_sql("0006_dead_letters_by_key.sql")
