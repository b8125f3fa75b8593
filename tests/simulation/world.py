"""One seed's world: production's engines on a simulated machine, Postgres, broker and wallet.

Two phases. First everything fails, as far as the seed says. Then all heals, and the world must come to rest:
every order in a resting place or before a person, everything published, and the ledgers equal.
"""

import asyncio
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

import orjson
import pytest

from schemas.vocabulary import Topic
from service.dispatch.carrier import Carrier
from service.engine import Engine
from service.kafka.forwarder import Forwarder
from service.lanes import lease
from service.lanes.inbox import Inbox
from service.lanes.intake import Intake
from service.lanes.ports import Ports
from tests.simulation.authors import Act
from tests.simulation.broker import Broker, Log
from tests.simulation.calls import Caller, Calls
from tests.simulation.checks import Judge
from tests.simulation.clients import SimulatedBroker
from tests.simulation.faults import Faults
from tests.simulation.http import Gateway, HttpClient
from tests.simulation.limits import narrow
from tests.simulation.loop import Process, SimulatedLoop, running_as
from tests.simulation.moments import Moments
from tests.simulation.person import Person
from tests.simulation.plan import TROUBLED_S, Plan
from tests.simulation.postgres import Postgres, SimulatedDatabase
from tests.simulation.promises import BrokenPromiseError, must
from tests.simulation.rest import Rest
from tests.simulation.server import LEASE_TTL_S, WORLD, Troubles
from tests.simulation.setting import (
    ALARMS,
    BEAT_S,
    CALLS_AT_ONCE,
    LOOK_EVERY_S,
    POLICY,
    REST_WITHIN_S,
    SCHEDULE,
    Ids,
    heard,
)
from tests.simulation.tables import of_lanes
from tests.simulation.traffic import Traffic
from tests.simulation.wallet import Wallet
from tests.simulation.wire import PROFILE, SimulatedAdapter, opened
from tests.simulation.wishes import Wishes


@dataclass
class World:
    """Everything of one run. `story` is what happened, when it is wanted."""

    plan: Plan
    tells: bool = False
    story: list[str] = field(default_factory=list)
    seen: Counter[tuple[str, ...]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.loop = SimulatedLoop()
        self.faults = Faults(self.plan.seed, self.plan.rates, self.plan.without)
        self.troubles = Troubles(self.loop, self.faults, self._crash)
        tables = of_lanes(self.plan.lanes)
        tempers = {order.order_id: order.temper for order in self.plan.orders}
        self.wallet = Wallet(self.loop, self.faults, tempers, self._call_back, self._called)
        self.judge = Judge(tables, self.wallet, Wishes(self.plan.orders), self.seen)
        self.calls = Calls(self.judge)
        self.postgres = Postgres(tables, self.troubles, self._committed)
        self.broker = Broker(self.plan.lanes, self.troubles, self._settled)
        self.gateway = Gateway(self.wallet, self.troubles)
        self.traffic = Traffic(self.broker, self.faults, self.tell)
        self.rest = Rest(self.judge, self.gateway, self.traffic, self.broker, self.postgres)
        self.judge.on_state = self._came_to
        self.judge.committed = lambda lane: self.broker.committed(Topic.STATE_EVENTS, lane)
        self.broken: Exception | None = None
        self._ids = Ids(self.faults)
        self._adapters = {PROFILE: SimulatedAdapter()}
        self.processes: dict[Process, Engine] = {}
        self._brokers: dict[Process, SimulatedBroker] = {}
        self._born = count(1)
        self._everyone: list[Process] = []
        self._to_come: dict[tuple[str, str], list[Act]] = {}
        for order in self.plan.orders:
            for act in order.acts:
                if act.once_in is not None:
                    self._to_come.setdefault((order.order_id, act.once_in), []).append(act)

    # ------------------------------------------------------------------------------------------------ the run

    def run(self) -> None:
        """Raises BrokenPromiseError, or whatever else goes wrong that may not."""
        asyncio.set_event_loop(self.loop)
        try:
            with heard(self._alarm), pytest.MonkeyPatch.context() as patch:
                # An idle world is soon over, too.
                patch.setattr(lease, "LONGEST_BEAT_S", BEAT_S)
                narrow(self.plan.limits, patch)
                self.seen.update(("narrow", name) for name in self.plan.limits)
                try:
                    self.loop.run_until_complete(self._live())
                finally:
                    self._end()
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
        if self.broken is not None:
            raise self.broken

    async def _live(self) -> None:
        for _ in range(self.plan.workers):
            self._start()
        self._plan_traffic()
        Moments(self).plan()
        Person(self).plan()
        await self._until(TROUBLED_S, lambda: False)
        self._heal()
        await self._until(TROUBLED_S + REST_WITHIN_S, self._is_at_rest)
        if self.broken is None:
            self.rest.check()
            self._check_clients()

    async def _until(self, moment_s: float, is_enough: Callable[[], bool]) -> None:
        while self.loop.time() < moment_s and self.broken is None and not is_enough():
            await asyncio.sleep(min(LOOK_EVERY_S, moment_s - self.loop.time()))

    def _is_at_rest(self) -> bool:
        self._guard(self.rest.look)
        return self.traffic.under_way == 0 and not self.rest.unrest()

    def _check_clients(self) -> None:
        # One that reads and one that forwards; two relay each lane, and somebody may be looking just now.
        most = 2 + 4 * self.plan.lanes
        for process in self.processes:
            running = sum(client.is_open for client in self._brokers[process].clients)
            must(running <= most, "clients of Kafka that are given up are stopped", process.name, running)

    def _heal(self) -> None:
        self.tell("everything heals")
        self.faults.are_over = True
        self.postgres.come_up()
        self.broker.come_up()
        self.gateway.come_up()
        for process in list(self.processes):
            if process.is_stopped:
                self.loop.go_on(process)
        self.traffic.tell_again()

    def _end(self) -> None:
        """Nobody is left waiting: what is not done is cancelled, dead or alive."""
        self.troubles.is_over = True
        mourned = [task for task in self.loop.tasks if not task.done()]
        for process in self._everyone:
            process.is_dead = False
            self.loop.go_on(process)
        for _ in range(50):
            mourned = [task for task in self.loop.tasks if not task.done()]
            if not mourned:
                return
            for task in mourned:
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(1))
        raise AssertionError(f"these do not end: {mourned}")

    # -------------------------------------------------------------------------------------------- processes

    def _start(self) -> None:
        process = Process(f"worker-{next(self._born)}")
        self._everyone.append(process)
        broker = self._brokers[process] = SimulatedBroker(self.broker)
        forwarder = Forwarder(broker, self.plan.lanes)
        client = HttpClient(self.gateway, Caller(process.name, self.calls), self._guard)
        ports = Ports(
            database=SimulatedDatabase(self.postgres),
            broker=broker,
            intake=Intake(broker, "paystate", self.plan.lanes),
            inbox=Inbox(self._adapters),
            adapters=self._adapters,
            carrier=Carrier(client, CALLS_AT_ONCE, CALLS_AT_ONCE),
            forward=forwarder.forward,
            ids=self._ids,
            policy=POLICY,
            retry_schedule=SCHEDULE,
            lanes=self.plan.lanes,
            transactional_prefix="simulated",
        )
        engine = Engine(process.name, ports, forwarder, SimulatedDatabase(self.postgres), LEASE_TTL_S)
        self.processes[process] = engine
        self.tell(f"{process.name} starts")
        with running_as(process):
            running = self.loop.create_task(engine.run(lambda: None))
        running.add_done_callback(lambda task: self._ended(process, task), context=WORLD)

    def _ended(self, process: Process, running: asyncio.Task[None]) -> None:
        if self.troubles.is_over or process not in self.processes:
            return
        error = None if running.cancelled() else running.exception()
        if error is not None:
            self._break(BrokenPromiseError(f"an engine ended: {error!r}"))
        self.tell(f"{process.name} has handed over")
        del self.processes[process]
        self._start()

    def _crash(self, process: Process) -> None:
        if process in self.processes and not self.troubles.is_over:
            self.tell(f"{process.name} dies")
            self.loop.kill(process)
            del self.processes[process]
            after_s = self.faults.between("crash", 0.1, 8)
            self.loop.call_later(after_s, self._start, context=WORLD)

    # --------------------------------------------------------------------------------------------- the plan

    def at(self, seconds: float, act: Callable[..., object], *given: Any) -> None:
        self.loop.call_later(max(seconds, 0), act, *given, context=WORLD)

    def _plan_traffic(self) -> None:
        for order in self.plan.orders:
            for act in order.acts:
                if act.once_in is None:
                    self.at(act.after_s, self.traffic.publish, act)

    # ------------------------------------------------------------------------------------------ what is watched

    def _committed(self, lane: int, epoch: int) -> None:
        self._guard(self.judge.judge, lane, epoch)

    def _settled(self, log: Log) -> None:
        self._guard(self.judge.settled, log)
        if log.topic == Topic.ORDER_STRINGS:
            self._offer(log)

    def _offer(self, log: Log) -> None:
        """Buyers get what has been published."""
        buyers = {order.order_id: order.buyer for order in self.plan.orders}
        records, _ = log.read(0, log.stable, 10_000, committed=True)
        for record in records:
            said = orjson.loads(record.value)
            order_id = said["order_id"]
            if order_id in self.wallet.accounts:
                continue
            terms = opened(said["order_str"].encode(), b"ours")
            assert terms is not None
            self.wallet.offer(terms, datetime.fromisoformat(said["expires_at"]))
            self.tell(f"the buyer of {order_id} has the order string, until {said['expires_at']}")
            for after_s, does in buyers[order_id].acts:
                self.at(after_s, self._buyer, order_id, does)

    def _buyer(self, order_id: str, does: str) -> None:
        self.tell(f"the buyer of {order_id}: {does}")
        self.wallet.buyer(order_id, does)

    def _came_to(self, order_id: str, state: str) -> None:
        self.tell(f"{order_id} is {state}")
        for act in self._to_come.pop((order_id, state), ()):
            self.at(act.after_s, self.traffic.publish, act)

    def _call_back(self, said: dict[str, Any], may_be_lost: bool, after_s: float) -> None:
        self.tell(f"the wallet calls back: {said}")
        self.traffic.call_back(said, may_be_lost, after_s)

    def _called(self, call: dict[str, Any]) -> None:
        self.tell(f"the wallet is called: {call}")
        self._guard(self.calls.arrives, call)

    def _alarm(self, event: str, told: dict[str, Any]) -> None:
        if self.tells:
            self.tell(f"log: {event} { {name: given for name, given in told.items() if name != 'exc_info'} }")
        if event in ALARMS and not self.troubles.is_over:
            where = traceback.format_exc() if told.get("exc_info") else ""
            self._break(BrokenPromiseError(f"the service has found a bug of its own: {event} {told}\n{where}"))

    def _guard(self, look: Callable[..., None], *about: Any) -> None:
        try:
            look(*about)
        except Exception as error:  # noqa: BLE001 - the run ends with it
            self._break(error)

    def _break(self, error: Exception) -> None:
        if self.broken is None:
            self.tell(f"BROKEN: {error}")
            self.broken = error

    def tell(self, text: str) -> None:
        if self.tells:
            self.story.append(f"{self.loop.time():9.3f}  {text}")
