"""What goes wrong at a moment of its own, and not with a request: outages, handovers, clocks that jump."""

from typing import TYPE_CHECKING

from tests.simulation.loop import running_as
from tests.simulation.plan import TROUBLED_S
from tests.simulation.server import Server

if TYPE_CHECKING:
    from tests.simulation.world import World


class Moments:
    """Plans them for a world."""

    def __init__(self, world: "World") -> None:
        self._world = world

    def plan(self) -> None:
        faults = self._world.faults
        for kind, act in (
            ("handover", self._hand_over),
            ("postgres_outage", self._outage_of_postgres),
            ("kafka_outage", self._outage_of_kafka),
            ("wallet_outage", self._outage_of_wallet),
            ("postgres_clock_jump", self._clock_jump),
        ):
            for _ in range(int(faults.rate(kind))):
                self._world.at(faults.between(kind, 1, TROUBLED_S), act)

    def _hand_over(self) -> None:
        # No signal reaches a stopped process.
        running = [process for process in self._world.processes if not process.is_stopped]
        if running and not self._world.faults.are_over:
            self._world.faults.fired["handover"] += 1
            process = self._world.faults.dice("handover").choice(running)
            self._world.tell(f"{process.name} is asked to hand over")
            with running_as(process):
                self._world.loop.call_soon(self._world.processes[process].stop)

    def _outage_of_postgres(self) -> None:
        self._outage("postgres_outage", self._world.postgres)

    def _outage_of_kafka(self) -> None:
        self._outage("kafka_outage", self._world.broker)

    def _outage_of_wallet(self) -> None:
        self._outage("wallet_outage", self._world.gateway)

    def _outage(self, kind: str, server: Server) -> None:
        if not self._world.faults.are_over:
            self._world.faults.fired[kind] += 1
            self._world.tell(f"{server.name} goes down")
            server.go_down()
            self._world.at(self._world.faults.between(kind, 0.3, 3.3) ** 3, server.come_up)

    def _clock_jump(self) -> None:
        if not self._world.faults.are_over:
            self._world.faults.fired["postgres_clock_jump"] += 1
            self._world.wallet.clocks_agree = False
            self._world.postgres.jump(self._world.faults.between("postgres_clock_jump", -30, 30))
            self._world.tell(f"the clock of postgres is {self._world.postgres.jumped_s:+.1f} s off")
