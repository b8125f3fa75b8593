"""The Alipay+ adapter: the port's methods, each a few lines over the modules beside it."""

from datetime import datetime
from typing import Final

from schemas.strict_json import MalformedRecordError, loads_object
from schemas.vocabulary import Kind, LatePayment
from service.wallets.adapter import (
    BuilderRefusedError,
    RawCallback,
    WalletAnswer,
    WalletRequest,
)
from service.wallets.alipay_plus import answer_facts, callback, calls
from service.wallets.alipay_plus.codes import blames_configuration
from service.wallets.alipay_plus.headers import RESPONSE_TIME, NotBelievedError, path_of, verify_headers
from service.wallets.alipay_plus.terms import body_of
from service.wallets.profile import WalletProfile
from service.wallets.question import Question
from statemachine.inputs import OrderCreated, WalletEvidence
from statemachine.order import Operation, Order
from statemachine.requests import order_from

_OK: Final = 200
MAX_ANSWER_BYTES: Final = 262_144
# The wallet comes again until it reads a result that says so.
_SUCCESS: Final = b'{"result":{"resultCode":"SUCCESS","resultStatus":"S","resultMessage":"success"}}'


class AlipayPlusAdapter:
    """One profile of the dialect `alipay_plus`. Holds no state but its profile, so threads may share it."""

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
        """Builds what would be signed, but signs nothing. Raises BuilderRefusedError."""
        order = order_from(created, created.occurred_at)
        body_of(calls.pay_call(order, created.occurred_at, self.profile).fields)

    def pay_window_s(self, kind: Kind, pay_timeout_s: int) -> int:  # noqa: ARG002 - the port's; all alike here
        """As asked: this wallet counts in seconds."""
        return pay_timeout_s

    def order_string(self, order: Order) -> str:
        """See WalletAdapter, and `calls.order_string` for what it is in this dialect."""
        if order.issued_at is None:
            raise BuilderRefusedError("the order has not been issued")
        call = calls.pay_call(order, order.issued_at, self.profile)
        return calls.order_string(self.profile, call, order.issued_at)

    def order_of_callback(self, raw: RawCallback) -> str | None:
        """See WalletAdapter."""
        return callback.order_of(callback.verify_callback(raw, self.profile))

    def open_callback(self, raw: RawCallback) -> WalletEvidence | None:
        """See WalletAdapter."""
        fields = callback.verify_callback(raw, self.profile)
        return callback.evidence_of(fields, raw.body, raw.received_at)

    def operation_request(self, order: Order, operation: Operation, now: datetime) -> WalletRequest:
        """See WalletAdapter. Raises BuilderRefusedError when the payment's number is not known yet."""
        call = calls.operation_call(order, operation, self.profile)
        signed = calls.signed_call(self.profile, call, now)
        return WalletRequest(
            call.name, order.order_id, signed.url, signed.body, signed.headers, operation, is_query=False
        )

    def query_request(self, order: Order, operation: Operation | None, now: datetime) -> WalletRequest:
        """See WalletAdapter."""
        call = calls.query_call(order, operation)
        signed = calls.signed_call(self.profile, call, now)
        return WalletRequest(
            call.name, order.order_id, signed.url, signed.body, signed.headers, operation, is_query=True
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
        if len(answer.body) > MAX_ANSWER_BYTES:
            return asked.unknown(f"not believed: longer than {MAX_ANSWER_BYTES} bytes")
        try:
            verify_headers(
                answer.headers,
                answer.body,
                paths=(path_of(request.url),),
                time_name=RESPONSE_TIME,
                profile=self.profile,
                at=now,
            )
            fields = loads_object(answer.body)
        except (NotBelievedError, MalformedRecordError) as error:
            return asked.unknown(f"not believed: {error}"[:200])
        return answer_facts.evidence_of(asked, fields, self.profile.release_call)
