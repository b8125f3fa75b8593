"""What a lane reaches the world through. Only `wiring` fills this in."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiokafka import ConsumerRecord

from service.clock import Ids
from service.dispatch.carrier import Carrier
from service.dispatch.dispatcher import RetrySchedule
from service.kafka.broker import Broker
from service.lanes.inbox import Inbox
from service.lanes.intake import Intake
from service.store.connection import Database
from service.wallets.adapter import WalletAdapter
from statemachine.decision import Policy


@dataclass(frozen=True, slots=True)
class Ports:
    """Shared by all lanes of one process."""

    database: Database
    broker: Broker
    intake: Intake
    inbox: Inbox
    adapters: Mapping[str, WalletAdapter]
    carrier: Carrier
    forward: Callable[[ConsumerRecord, int], Awaitable[None]]
    ids: Ids
    policy: Policy
    retry_schedule: RetrySchedule
    lanes: int
    transactional_prefix: str
