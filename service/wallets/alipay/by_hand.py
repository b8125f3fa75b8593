"""Single messages of this dialect, made and examined by hand. See `service.wallets.by_hand`.

The same functions sign and verify here as in the adapter; what is added are words for people.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from schemas.vocabulary import Outcome
from service.wallets import by_hand
from service.wallets.adapter import BuilderRefusedError, RawCallback
from service.wallets.alipay import calls, terms
from service.wallets.alipay.adapter import AlipayAdapter
from service.wallets.alipay.answer import UnbelievableError, read_node
from service.wallets.alipay.answer_outcome import outcome_of
from service.wallets.alipay.callback import sign_callback
from service.wallets.by_hand import (
    ExaminedAnswer,
    ExaminedCallback,
    ExaminedOrderString,
    FieldsRefusedError,
    MadeOrderString,
    RawAnswer,
    SignedMessage,
)
from service.wallets.html_damage import quoted_in, text_of
from service.wallets.order_string import ParsedOrderString, parse_order_string, repaired_verifies
from service.wallets.parameters import BEIJING, MalformedFormError, parse_wallet_time
from service.wallets.profile import WalletProfile

_CALLBACK_NAMES: Final = frozenset({"sign", "sign_type", "charset"})


class AlipayByHand:
    """One profile of the dialect `alipay`."""

    def __init__(self, name: str, profile: WalletProfile) -> None:
        self.name = name
        self.profile = profile

    def order_string(self, biz: Mapping[str, Any], method: str | None, at: datetime) -> MadeOrderString:
        """See WalletByHand."""
        asked = method or method_of(biz)
        if asked in terms.SERVER_METHODS:
            raise BuilderRefusedError(f"{asked}: is called by a server; no buyer can act on an orderStr of it")
        _check_deadline(biz, at)
        order_str = calls.signed_order_string(self.profile, calls.Call(asked, biz), at)
        parsed = parse_order_string(order_str)
        base = parsed.base.decode(parsed.charset)
        return MadeOrderString(order_str, base, parsed.params["sign"])

    def examine_order_string(self, raw: bytes) -> ExaminedOrderString:
        """See WalletByHand."""
        return examine_order_string(raw, self.profile)

    def examine_callback(self, callback: RawCallback) -> ExaminedCallback:
        """See WalletByHand. A line's end after the form is left out: files and pipes add it."""
        sent = replace(callback, body=callback.body.rstrip(b"\r\n"))
        return by_hand.examine_callback(AlipayAdapter(self.name, self.profile), sent)

    def examine_answer(self, answer: RawAnswer) -> ExaminedAnswer:
        """See WalletByHand."""
        try:
            node = read_node(answer.body, answer.method, self.profile, answer.received_at)
        except UnbelievableError as error:
            return ExaminedAnswer(
                ok=False, reason=f"not believed: {error}", outcome=Outcome.UNKNOWN, code=error.code, body=None
            )
        outcome = outcome_of(answer.method, node)
        said = node.text("sub_msg") or node.text("msg") or ""
        reason = f"genuine: {said}" if said else "genuine"
        return ExaminedAnswer(ok=True, reason=reason, outcome=outcome, code=node.reason, body=node.members)

    def sign_callback(self, fields: Mapping[str, Any], at: datetime) -> SignedMessage:  # noqa: ARG002 - unsigned
        """See WalletByHand. Where they are not given, app_id is the profile's, and notify_id follows from the rest.

        `charset`, `sign_type` and `sign` are the profile's to say.
        """
        given: dict[str, str] = {}
        for name, value in fields.items():
            if not isinstance(value, str):
                raise FieldsRefusedError(f"{name}: should be a string, as all of a form is")
            if name not in _CALLBACK_NAMES:
                given[name] = value
        # The wallet's own id is constant over resends, so the same fields have the same.
        digest = hashlib.sha256(
            "&".join(f"{name}={given[name]}" for name in sorted(given)).encode("utf-8", "replace")
        )
        whole = {"app_id": str(self.profile.app_id), "notify_id": digest.hexdigest()[:34]} | given
        charset = self.profile.charset
        try:
            body = sign_callback(whole, self.profile.app_private_key, self.profile.sign_type, charset)
        except UnicodeEncodeError as error:
            raise FieldsRefusedError(f"{charset} cannot hold U+{ord(error.object[error.start]):04X}") from None
        except MalformedFormError as error:
            raise FieldsRefusedError(str(error)) from None
        return SignedMessage({"content-type": f"application/x-www-form-urlencoded; charset={charset}"}, body)

    def sign_request(self, method: str, biz: Mapping[str, Any], at: datetime) -> SignedMessage:
        """See WalletByHand. A question brings no notify_url: nothing follows from it."""
        is_query = method.endswith(".query")
        signed = calls.signed_call(self.profile, calls.Call(method, biz), at, with_notify_url=not is_query)
        return SignedMessage(signed.headers, signed.body, signed.url, signed.query)


def method_of(biz: Mapping[str, Any]) -> str:
    """What an orderStr with these fields offers: a freeze, or a payment."""
    return terms.APP_FREEZE if "out_order_no" in biz or "order_title" in biz else terms.APP_PAY


def examine_order_string(raw: bytes, profile: WalletProfile | None) -> ExaminedOrderString:
    """Reads an orderStr; verifies it if there is a profile. Never raises, whatever the bytes are.

    It may stand in quotes in something longer: the call of `my.tradePay`, or what `order-string` prints.
    """
    parsed = parse_order_string(quoted_in(text_of(raw)))
    signature, remarks = _signature(parsed, profile)
    return ExaminedOrderString(
        ok=parsed.is_whole and not parsed.wrong_signature and signature != by_hand.NOT_VERIFIED,
        params=parsed.params,
        biz_content=parsed.biz_content,
        damage=parsed.damage,
        signature=signature,
        missing=parsed.missing,
        problems=(*parsed.in_words, *remarks),
        repaired=parsed.repaired,
    )


def _signature(
    parsed: ParsedOrderString, profile: WalletProfile | None
) -> tuple[by_hand.Signature, tuple[str, ...]]:
    """How the signature stands, and why it does not verify."""
    wrong = (parsed.wrong_signature,) if parsed.wrong_signature else ()
    if profile is None:
        return by_hand.NOT_VERIFIABLE, wrong
    holds = repaired_verifies(parsed, profile.app_public_key, profile.sign_type)
    if not parsed.is_whole:
        # What stands here is not what was signed; if only the page is to blame, that is worth knowing.
        only_damaged = holds and not (parsed.missing or parsed.problems)
        remark = "its signature verifies once that is undone: nothing else has happened to it"
        return by_hand.NOT_VERIFIABLE, (remark,) if only_damaged else wrong
    if holds:
        return by_hand.VERIFIED, ()
    sign_type, app_id = parsed.params["sign_type"], parsed.params["app_id"]
    if sign_type != profile.sign_type.value:
        return by_hand.NOT_VERIFIED, (f"its sign_type is {sign_type[:20]}, the profile's {profile.sign_type}",)
    if app_id != profile.app_id:
        return by_hand.NOT_VERIFIED, (f"it is of the app {app_id[:64]}, the profile of {profile.app_id}",)
    return by_hand.NOT_VERIFIED, wrong or (
        "its signature does not verify with the profile's key: another key signed it, or it was changed after",
    )


def _check_deadline(biz: Mapping[str, Any], at: datetime) -> None:
    """An order that is over before it begins; the form of the time is looked at elsewhere."""
    until = biz.get("time_expire")
    moment = parse_wallet_time(until) if isinstance(until, str) else None
    if moment is not None and moment <= at:
        now = at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")
        raise BuilderRefusedError(f"time_expire: {until} is over; in Beijing it is {now}")
