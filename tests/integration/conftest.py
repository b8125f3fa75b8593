"""What the tests of the whole road share: see `tests/world.py`."""

from tests.world import Paystate, answer, names_in_lane, run_paystate

__all__ = ["Paystate", "answer", "names_in_lane", "run_paystate"]
