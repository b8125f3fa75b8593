"""What goes in: orders that are created and then paid, the payment's callback signed as a wallet signs it.

Everything is made before a clock starts: RSA-2048 signs about 1,200 a second a core.
"""

import base64
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context

import orjson

from schemas.vocabulary import Topic
from service.kafka.partition import lane_of
from service.sandbox.identity import Identity, fresh_identity
from service.wallets.alipay.callback import sign_callback
from service.wallets.parameters import wallet_time
from service.wallets.signatures import sign

PROFILE = "sandbox"
AMOUNT = "45.00"
AMOUNT_MINOR = 4500
SIGN_IN_CHUNKS_OF = 500
SIGN_TIME_S = 1.0


@dataclass(frozen=True, slots=True)
class Given:
    """An input record. An order has two: its creation and the callback of its payment."""

    topic: str
    partition: int
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Workload:
    """The creations and the callbacks of the same orders, in the same sequence."""

    created: list[Given]
    paid: list[Given]
    # Whether each order is issued at once, so that its order string is signed and sent.
    issue: bool

    @property
    def events(self) -> int:
        """Input records."""
        return len(self.created) + len(self.paid)

    @property
    def state_events(self) -> int:
        """What the engine publishes: created, (paying,) paid."""
        return len(self.created) * (3 if self.issue else 2)

    def records(self) -> list[Given]:
        """All of it, each order's callback right behind its creation."""
        return [given for pair in zip(self.created, self.paid, strict=True) for given in pair]


class Signer:
    """Makes workloads for one wallet, with as many processes as the machine has cores."""

    def __init__(self, lanes: int, identity: Identity | None = None) -> None:
        self.identity = identity or fresh_identity()
        self._lanes = lanes
        self.bodies: list[bytes] = []

    def prepare(self, orders: int) -> None:
        """Signs the callbacks of the first so many orders; the same ones serve every run."""
        missing = range(len(self.bodies), orders)
        chunks = [missing[at : at + SIGN_IN_CHUNKS_OF] for at in range(0, len(missing), SIGN_IN_CHUNKS_OF)]
        # Not forked: this process has an event loop and threads.
        with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
            for bodies in pool.map(partial(_sign_all, self.identity), chunks):
                self.bodies.extend(bodies)

    def workload(self, orders: range, *, issue: bool) -> Workload:
        """The records of these orders, whose callbacks are signed already."""
        now = datetime.now(UTC)
        created, paid = [], []
        for number in orders:
            order_id = order_id_of(number)
            lane, key = lane_of(order_id, self._lanes), order_id.encode()
            created.append(Given(Topic.ORDERS, lane, key, _creation(order_id, now, issue=issue)))
            paid.append(Given(Topic.CALLBACKS, lane, key, _callback(self.bodies[number], now)))
        return Workload(created, paid, issue)


def order_id_of(number: int) -> str:
    """The id of an order of the workload."""
    return f"bench_{number:08d}"


def signatures_per_second(identity: Identity) -> float:
    """How many RSA-2048 signatures one core of this machine makes: the bound of every order string."""
    key, message = identity.wallet_private_key, b"x" * 600
    count, began = 0, time.process_time()
    while (took := time.process_time() - began) < SIGN_TIME_S:
        sign(key, message, identity.sign_type)
        count += 1
    return count / took


def _creation(order_id: str, now: datetime, *, issue: bool) -> bytes:
    return orjson.dumps(
        {
            "type": "order.created",
            "event_id": f"{order_id}-created",
            "order_id": order_id,
            "occurred_at": now,
            "kind": "payment",
            "amount_minor": AMOUNT_MINOR,
            "currency": "CNY",
            "profile": PROFILE,
            "subject": "A mug",
            "issue": issue,
            "metadata": {"shop": "west", "table": "12"},
        }
    )


def _callback(body: bytes, now: datetime) -> bytes:
    return orjson.dumps(
        {
            "type": "wallet.callback",
            "profile": PROFILE,
            "received_at": now,
            "method": "POST",
            "path": "/wallets/sandbox/notify",
            "headers": {"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
            "body_base64": base64.b64encode(body).decode(),
        }
    )


def _sign_all(identity: Identity, numbers: range) -> list[bytes]:
    key, now = identity.wallet_private_key, wallet_time(datetime.now(UTC))
    return [
        sign_callback(_notice(identity, number, now), key, identity.sign_type, identity.charset)
        for number in numbers
    ]


def _notice(identity: Identity, number: int, now: str) -> dict[str, str]:
    """The fields of a notification of a paid trade, as many as the wallet sends."""
    return {
        "notify_type": "trade_status_sync",
        "notify_id": f"2026010100222{number:021d}",
        "notify_time": now,
        "app_id": identity.app_id,
        "auth_app_id": identity.app_id,
        "seller_id": identity.seller_id,
        "version": "1.0",
        "trade_no": f"202601012200{number:016d}",
        "out_trade_no": order_id_of(number),
        "trade_status": "TRADE_SUCCESS",
        "subject": "A mug",
        "buyer_id": "2088102177891234",
        "total_amount": AMOUNT,
        "receipt_amount": AMOUNT,
        "buyer_pay_amount": AMOUNT,
        "gmt_create": now,
        "gmt_payment": now,
        "fund_bill_list": f'[{{"amount":"{AMOUNT}","fundChannel":"ALIPAYACCOUNT"}}]',
    }
