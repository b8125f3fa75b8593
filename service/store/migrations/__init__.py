"""The schema's history: plain SQL files, run in order by alembic. Expand first, contract a release later."""

from pathlib import Path

from alembic import op
from sqlalchemy.util import await_only

FOLDER = Path(__file__).parent


def run_sql(name: str) -> None:
    """Runs a file of `versions/` whole, in the migration's transaction.

    Through the driver itself: SQLAlchemy prepares what it is given, and only single statements can be prepared.
    """
    text = (FOLDER / "versions" / name).read_text(encoding="utf-8")
    driver = op.get_bind().connection.driver_connection
    assert driver is not None
    await_only(driver.execute(text))
