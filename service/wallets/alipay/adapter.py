"""The Alipay adapter: the port's methods, each a few lines over the modules beside it."""

from datetime import datetime
from typing import Final

from schemas.vocabulary import Kind, LatePayment
from service.wallets.adapter import (
    BuilderRefusedError,
    RawCallback,
    WalletAnswer,
    WalletRequest,
)
from service.wallets.alipay import answer_facts, callback_facts, calls, terms
from service.wallets.alipay.answer import UnbelievableError, read_node
from service.wallets.alipay.callback import verify_callback
from service.wallets.alipay.codes import blames_configuration
from service.wallets.profile import WalletProfile
from service.wallets.question import Question
from statemachine.inputs import OrderCreated, WalletEvidence
from statemachine.order import Operation, Order
from statemachine.requests import order_from

_OK: Final = 200
# The wallet comes again until it reads exactly this.
_SUCCESS: Final = b"success"


class AlipayAdapter:
    """One profile of the dialect `alipay`. Holds no state but its profile, so threads may share it."""

    def __init__(self, name: str, profile: WalletProfile) -> None:
        self.name = name
        self.profile = profile

    @property
    def authorization_timeout_s(self) -> int:
        """See WalletAdapter."""
        return self.profile.authorization_timeout_s

    @property
    def late_payment(self) -> LatePayment:
        """See WalletAdapter."""
        return self.profile.late_payment

    @property
    def success_answer(self) -> bytes:
        """See WalletAdapter."""
        return _SUCCESS

    def check_terms(self, created: OrderCreated) -> None:
        """Checks what would be signed, but signs nothing. Raises BuilderRefusedError."""
        order = order_from(created, created.occurred_at)
        offer = calls.offer(order, created.occurred_at, self.profile)
        terms.check(offer.method, offer.biz, self.profile.charset)

    def pay_window_s(self, kind: Kind, pay_timeout_s: int) -> int:
        """See WalletAdapter."""
        return calls.pay_window_s(kind, pay_timeout_s)

    def order_string(self, order: Order) -> str:
        """See WalletAdapter."""
        if order.issued_at is None:
            raise BuilderRefusedError("the order has not been issued")
        offer = calls.offer(order, order.issued_at, self.profile)
        return calls.signed_order_string(self.profile, offer, order.issued_at)

    def order_of_callback(self, callback: RawCallback) -> str | None:
        """See WalletAdapter."""
        return callback_facts.order_of(verify_callback(callback.body, self.profile, callback.received_at))

    def open_callback(self, callback: RawCallback) -> WalletEvidence | None:
        """See WalletAdapter."""
        fields = verify_callback(callback.body, self.profile, callback.received_at)
        return callback_facts.evidence_of(fields, callback.received_at)

    def operation_request(self, order: Order, operation: Operation, now: datetime) -> WalletRequest:
        """See WalletAdapter. Raises BuilderRefusedError when a reference of the wallet's is not known yet."""
        call = calls.operation_call(order, operation, self.profile)
        signed = calls.signed_call(self.profile, call, now, with_notify_url=True)
        return WalletRequest(
            call.method, order.order_id, signed.url, signed.body, signed.headers, operation, is_query=False
        )

    def query_request(self, order: Order, operation: Operation | None, now: datetime) -> WalletRequest:
        """See WalletAdapter."""
        call = calls.query_call(order, operation)
        signed = calls.signed_call(self.profile, call, now)
        return WalletRequest(
            call.method, order.order_id, signed.url, signed.body, signed.headers, operation, is_query=True
        )

    def blames_configuration(self, code: str) -> bool:
        """See WalletAdapter."""
        return blames_configuration(code)

    def read_answer(
        self, order: Order, request: WalletRequest, answer: WalletAnswer, now: datetime
    ) -> WalletEvidence:
        """See WalletAdapter."""
        asked = Question(order, request, now)
        if answer.status != _OK:
            return asked.unknown(f"HTTP {answer.status}")
        try:
            node = read_node(answer.body, request.call, self.profile, now)
        except UnbelievableError as error:
            # What it claims is shown, so that an operator sees what is wrong with the configuration.
            return asked.unknown(f"not believed: {error} {error.code}".strip())
        return answer_facts.evidence_of(asked, node)
