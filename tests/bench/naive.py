"""The service as one would write it first, for comparison.

FastStream handlers, one shared `transitions` machine, asyncpg, one transaction an event, and the state event
published after the commit. It verifies the same signatures and says the same of each order. It promises
nothing: a crash between the commit and the publication loses the event.
"""

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from faststream import FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from transitions import Machine

from schemas.order_events import OrderCreatedEvent
from schemas.vocabulary import Topic
from schemas.wallet_callbacks import WalletCallbackRecord
from service import config
from service.wallets.adapter import RawCallback
from service.wallets.registry import build_adapters

GROUP = "naive"
STATES = ["created", "paid", "closed"]
MACHINE = Machine(
    model=None,
    states=STATES,
    transitions=[
        {"trigger": "pay", "source": "created", "dest": "paid"},
        {"trigger": "close", "source": "created", "dest": "closed"},
    ],
    initial="created",
    auto_transitions=False,
)
SCHEMA = """
    create table naive_orders (
        order_id text primary key, state text not null, amount_minor bigint, trade_no text,
        version integer not null default 0, updated_at timestamptz not null default now()
    )
"""


@dataclass
class Order:
    order_id: str
    state: str
    version: int


broker = KafkaBroker(os.environ["PAYSTATE_KAFKA_BOOTSTRAP"], logger=None)
app = FastStream(broker)
adapters = build_adapters(config.load(Path(os.environ["PAYSTATE_CONFIG"])).profiles)
pool: asyncpg.Pool


@app.on_startup
async def connect() -> None:
    global pool  # noqa: PLW0603 - as such programs do it
    pool = await asyncpg.create_pool(os.environ["PAYSTATE_POSTGRES_DSN"])
    await pool.execute(SCHEMA)


@app.after_startup
async def say_ready() -> None:
    print("READY", flush=True)


@broker.subscriber(Topic.ORDERS, group_id=GROUP, auto_offset_reset="earliest")
async def on_order(message: KafkaMessage) -> None:
    created = OrderCreatedEvent.model_validate_json(message.body)
    await apply(created.order_id, None, created.amount_minor, None)


@broker.subscriber(Topic.CALLBACKS, group_id=GROUP, auto_offset_reset="earliest")
async def on_callback(message: KafkaMessage) -> None:
    callback = WalletCallbackRecord.model_validate_json(message.body)
    evidence = adapters[callback.profile].open_callback(
        RawCallback(callback.method, callback.path, callback.headers, callback.body, callback.received_at)
    )
    if evidence is not None:
        await apply(evidence.order_id, "pay", evidence.total_taken_minor, evidence.trade_no)


async def apply(order_id: str, trigger: str | None, amount_minor: int | None, trade_no: str | None) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "insert into naive_orders (order_id, state, amount_minor) values ($1, 'created', $2)"
            " on conflict do nothing",
            order_id,
            amount_minor,
        )
        row = await connection.fetchrow("select * from naive_orders where order_id = $1 for update", order_id)
        order = Order(row["order_id"], row["state"], row["version"] + 1)
        previous = order.state
        if trigger is not None:
            MACHINE.events[trigger].trigger(order)
        await connection.execute(
            "update naive_orders set state = $2, version = $3, trade_no = coalesce($4, trade_no),"
            " updated_at = now() where order_id = $1",
            order_id,
            order.state,
            order.version,
            trade_no,
        )
    state_event = {
        "order_id": order_id,
        "version": order.version,
        "previous_state": previous,
        "state": order.state,
        "amount_minor": amount_minor,
        "wallet_trade_no": trade_no,
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    await broker.publish(state_event, Topic.STATE_EVENTS, key=order_id.encode())


if __name__ == "__main__":
    asyncio.run(app.run(log_level=30))
