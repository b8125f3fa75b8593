"""All checks together, over one snapshot of the database and the topic as it then is."""

from dataclasses import dataclass

from service.kafka.access import KafkaAccess
from service.store.connection import Database
from service.store.lanes import lane_count
from service.verify import published, stored
from service.verify.check import Check


@dataclass(frozen=True, slots=True)
class Report:
    """The answer. `published` is how many state events the topic holds of those that the snapshot has."""

    orders: int
    journal: int
    published: int
    checks: list[Check]

    @property
    def ok(self) -> bool:
        """Whether every check is."""
        return all(check.ok for check in self.checks)

    @property
    def broken(self) -> bool:
        """Whether a check says no; a report may also be neither ok nor broken, where one has no answer."""
        return any(check.answered and not check.ok for check in self.checks)


async def verify(database: Database, access: KafkaAccess, wait_s: float) -> Report:
    """Runs every check; changes nothing. Waits up to `wait_s` for what is committed and not yet published."""
    await lane_count(database)
    async with database.snapshot() as connection:
        checks = await stored.checks(connection)
        orders = await connection.fetchval("select count(*) from orders")
        journal = await connection.fetchval("select count(*) from journal")
        count, check = await published.check(database, connection, access, wait_s)
    return Report(orders, journal, count, [*checks, check])
