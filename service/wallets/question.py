"""What was asked of a wallet, and evidence in its name: the same for every dialect."""

from dataclasses import dataclass
from datetime import datetime

from schemas.vocabulary import Outcome
from service.wallets.adapter import WalletRequest
from statemachine.inputs import EvidenceSource, WalletEvidence
from statemachine.order import Order


class NotAnAnswerError(ValueError):
    """Genuine, but it does not answer what was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, of which order, and when."""

    order: Order
    request: WalletRequest
    at: datetime

    def evidence(self, code: str = "", outcome: Outcome | None = None) -> WalletEvidence:
        """Evidence that says nothing yet, in the name of what was asked."""
        operation = self.request.operation
        return WalletEvidence(
            event_id=None,
            occurred_at=self.at,
            source=EvidenceSource.QUERY if self.request.is_query else EvidenceSource.REPLY,
            order_id=self.order.order_id,
            request_no=operation.id if operation else None,
            outcome=outcome,
            code=code,
        )

    def unknown(self, code: str) -> WalletEvidence:
        """The fourth answer: we do not know."""
        return self.evidence(code, Outcome.UNKNOWN)
