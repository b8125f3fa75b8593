"""What the simulated wallet knows of an order: its totals, and what became of each request."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from schemas.vocabulary import Kind

PENDING, DONE, REFUSED = "pending", "succeeded", "rejected"
TAKEN_BY = {"capture": "taken", "release": "released", "refund": "refunded"}


@dataclass
class Request:
    """What came under one request number: what it asks for, and how that stands."""

    kind: str
    amount_minor: int
    complete: bool
    status: str
    times_seen: int = 0


@dataclass
class Account:
    """One order at the wallet. Totals in minor units, as everywhere."""

    order_id: str
    kind: Kind
    amount_minor: int
    currency: str
    deadline: datetime
    authorization_timeout_s: int
    is_open: bool = False
    closed: bool = False
    frozen: int = 0
    taken: int = 0
    released: int = 0
    refunded: int = 0
    # What happened beside our requests, by total.
    by_itself: Counter[str] = field(default_factory=Counter)
    requests: dict[str, Request] = field(default_factory=dict)

    @property
    def held(self) -> int:
        return self.frozen - self.taken - self.released if self.kind is Kind.PREAUTH else 0

    @property
    def facts(self) -> tuple[int, int, int, int]:
        return self.frozen, self.taken, self.released, self.refunded
