"""The order API's own tables: API keys, and what was asked under an Idempotency-Key."""

from service.store.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Forward only: what a release has published is never taken back."""
    run_sql("0003_order_api.sql")
