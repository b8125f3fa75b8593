"""CPU time of processes and their children, from /proc; and the ratios that are made of it."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds so far, user and system, of the three parts."""

    program_s: float
    postgres_s: float
    broker_s: float

    def since(self, earlier: "Cpu") -> "Cpu":
        """What was used in between."""
        return Cpu(
            self.program_s - earlier.program_s,
            self.postgres_s - earlier.postgres_s,
            self.broker_s - earlier.broker_s,
        )

    @property
    def total_s(self) -> float:
        """All told."""
        return self.program_s + self.postgres_s + self.broker_s


def measure(programs: list[int], postgres: int, broker: int) -> Cpu:
    """The CPU time of the programs, of Postgres with all its sessions, and of the broker, by process id."""
    return Cpu(sum(_family_s(pid) for pid in programs), _family_s(postgres), _family_s(broker))


def _family_s(pid: int) -> float:
    """A process, its children that live, and those that it has seen end."""
    ticks = _ticks(pid)
    for child in _children(pid):
        ticks += _ticks(child)
    return ticks / _TICKS_PER_S


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found.extend(map(int, (task / "children").read_text().split()))
    return found


def _ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        # It has just ended; its parent counts it from now on.
        return 0
    # After the name, which may hold anything: state, …, utime, stime, cutime and cstime are 14th to 17th.
    return sum(map(int, stat.rpartition(")")[2].split()[11:15]))
