"""The network between the engines and one of their servers is cut, while the server and all others are well.

A `…_cut_off` of a server cuts in two ways in turn: the line falls silent, and heals with all that waited in it; or
it is reset, and refuses. Recovery is counted from the moment at which it heals.
"""

from service.sandbox.identity import PROFILE_FILE
from tests.faults.breaking import Breaking, Outage, go_through
from tests.faults.line import Line
from tests.faults.world import World

# Longer than engines wait for the answer to a statement (20 s), of the wallet (12 s) or of the broker (10 s).
CUT_S = 25.0


def _cuts(line: Line, *says: str, answers: bool = False) -> list[Outage]:
    """Both ways to be cut off. With `answers`, recovery is an answer of the server: lanes read on all along."""
    answered_at = (lambda: line.answered_at) if answers else None
    return [Outage(go, line.heal, says, answered_at) for go in (line.fall_silent, line.reset)]


def _cut_off(breaking: Breaking, cuts: list[Outage]) -> list[float]:
    breaking.outage_s = min(breaking.outage_s, CUT_S)
    return go_through(breaking, cuts)


def _postgres_line(world: World) -> Line:
    line = world.lay_line(world.postgres.port)
    world.engine_environment["PAYSTATE_POSTGRES_DSN"] = line.over(world.postgres.dsn)
    return line


def postgres_cut_off(breaking: Breaking) -> list[float]:
    """Engines do not reach Postgres; a commit that they gave up on may arrive when somebody else owns the lane."""
    return _cut_off(breaking, _cuts(_postgres_line(breaking.world), "lane_waits", "postgres_unavailable"))


def broker_cut_off(breaking: Breaking) -> list[float]:
    """Engines do not reach the broker, which everybody else reaches."""
    world = breaking.world
    line = world.lay_line(world.broker.port, names_itself=True)
    world.engine_environment["PAYSTATE_KAFKA_BOOTSTRAP"] = line.over(world.broker.bootstrap)
    return _cut_off(breaking, _cuts(line, "kafka_unavailable", "relay_waits", "lane_waits"))


def _wallet_line(world: World) -> Line:
    line = world.lay_line(int(world.wallet_url.rpartition(":")[2]))
    profiles = world.folder / "engines.toml"
    theirs = (world.folder / PROFILE_FILE).read_text()
    profiles.write_text(theirs.replace(world.wallet_url, line.over(world.wallet_url)))
    world.engine_environment["PAYSTATE_CONFIG"] = str(profiles)
    return line


def wallet_cut_off(breaking: Breaking) -> list[float]:
    """Engines do not reach the wallet, and it goes on sending callbacks; what they asked for may arrive late."""
    line = _wallet_line(breaking.world)
    return _cut_off(breaking, _cuts(line, "wallet_did_not_answer", answers=True))


def wallet_slow(breaking: Breaking) -> list[float]:
    """The wallet does what it is asked to do at once, and its answers come when nobody waits for them any more."""
    line = _wallet_line(breaking.world)
    slow = Outage(line.hold_answers, line.heal, ("wallet_did_not_answer",), lambda: line.answered_at)
    return _cut_off(breaking, [slow])


def engine_cut_off(breaking: Breaking) -> list[float]:
    """One of two engines does not reach Postgres, and goes on with the broker and the wallet; the other takes over.

    What the first was about to commit arrives when the line heals, and is too late. Recovery is the takeover.
    """
    world = breaking.world
    line = _postgres_line(world)
    alone = world.start_engine()
    world.engine_environment.clear()
    engines = [alone, world.start_engine()]
    recoveries = []
    for _ in breaking.rounds():
        breaking.settled(*engines)
        # Past the limit of a statement now and then, too: then it has given up before the line heals.
        recoveries.append(breaking.overtaken_s(alone, line.fall_silent, line.heal, CUT_S))
    breaking.settled(*engines)
    return recoveries
