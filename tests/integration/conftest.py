"""What the tests of the whole road share: see `tests/world.py`."""

from tests.world import Paystate, answer, run_paystate

__all__ = ["Paystate", "answer", "run_paystate"]
