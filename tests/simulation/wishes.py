"""What may be asked of the wallet: no more than upstream has wished for."""

from collections import Counter
from collections.abc import Sequence

from tests.simulation.authors import OrderPlan


class Wishes:
    """What upstream may ask for at the most: each completion and each refund once, by its own id."""

    def __init__(self, orders: Sequence[OrderPlan]) -> None:
        self._most: dict[tuple[str, str], Counter[str]] = {}
        for act in (act for order in orders for act in order.acts):
            value = act.value
            for kind, identity in (("capture", value.get("completion_id")), ("refund", value.get("refund_id"))):
                if identity is not None and value["currency"] == "CNY":
                    amounts = self._most.setdefault((value["order_id"], kind), Counter())
                    amounts[identity] = max(amounts[identity], value["amount_minor"])

    def most(self, order_id: str, kind: str) -> int:
        """In minor units."""
        return sum(self._most.get((order_id, kind), Counter()).values())
