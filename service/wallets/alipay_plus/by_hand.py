"""Single messages of this dialect, made and examined by hand. See `service.wallets.by_hand`.

The same functions sign and verify here as in the adapter; what is added are words for people. Here the headers
are signed, too: a callback or an answer without them can only be refused.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import urljoin

from schemas.strict_json import MalformedRecordError, loads_object
from schemas.vocabulary import Outcome
from service.wallets import by_hand
from service.wallets.adapter import BuilderRefusedError, RawCallback
from service.wallets.alipay_plus import calls
from service.wallets.alipay_plus.adapter import AlipayPlusAdapter
from service.wallets.alipay_plus.answer_outcome import outcome_of
from service.wallets.alipay_plus.codes import result_of
from service.wallets.alipay_plus.headers import (
    DOES_NOT_VERIFY,
    REQUEST_TIME,
    RESPONSE_TIME,
    NotBelievedError,
    path_of,
    request_time,
    signed_headers,
    signed_text,
    verify_headers,
)
from service.wallets.alipay_plus.members import CALLS, check_call
from service.wallets.alipay_plus.written_order_string import WrittenOrderString, read_order_string
from service.wallets.by_hand import (
    ExaminedAnswer,
    ExaminedCallback,
    ExaminedOrderString,
    FieldsRefusedError,
    MadeOrderString,
    RawAnswer,
    SignedMessage,
)
from service.wallets.profile import WalletProfile

_LINE_ENDS: Final = b"\r\n"
_Examined = TypeVar("_Examined", ExaminedCallback, ExaminedAnswer)


class AlipayPlusByHand:
    """One profile of the dialect `alipay_plus`."""

    def __init__(self, name: str, profile: WalletProfile) -> None:
        self.name = name
        self.profile = profile

    def order_string(self, biz: Mapping[str, Any], method: str | None, at: datetime) -> MadeOrderString:
        """See WalletByHand. `biz` are the members of a `pay` call."""
        if method not in (None, calls.PAY):
            raise BuilderRefusedError(f"{method}: no buyer can act on it; an order string is a call of pay")
        call = self._call(calls.PAY, biz, at)
        order_str = calls.order_string(self.profile, call, at)
        made = read_order_string(order_str.encode())
        base = signed_text(
            made.params["path"], made.params["client_id"], request_time(at), made.params["body"].encode()
        )
        return MadeOrderString(order_str, base.decode(), made.params["signature"])

    def examine_order_string(self, raw: bytes) -> ExaminedOrderString:
        """See WalletByHand."""
        return examine_order_string(raw, self.profile)

    def examine_callback(self, callback: RawCallback) -> ExaminedCallback:
        """See WalletByHand. A line's end that a file or a pipe has added is left out."""
        profile = self.profile
        if callback.path != by_hand.NO_PATH:
            # Where it is said at which path it came, it has to be signed for that one.
            at = urljoin(profile.notify_url or profile.gateway_url, callback.path)
            profile = profile.model_copy(update={"notify_url": at})
        adapter = AlipayPlusAdapter(self.name, profile)

        def examined(body: bytes) -> ExaminedCallback:
            return by_hand.examine_callback(adapter, replace(callback, body=body))

        found = _first_that_is_ok(callback.body, examined)
        if found.ok:
            return found
        remark = self._remark(found.reason, callback.headers, REQUEST_TIME, str(profile.notify_url))
        return replace(found, reason=f"{found.reason}{remark}")

    def examine_answer(self, answer: RawAnswer) -> ExaminedAnswer:
        """See WalletByHand. The path is the call's own, so it need not be given."""
        return _first_that_is_ok(answer.body, lambda body: self._examined(replace(answer, body=body)))

    def sign_callback(self, fields: Mapping[str, Any], at: datetime) -> SignedMessage:
        """See WalletByHand. It is signed for the path of the profile's notify_url."""
        if not fields:
            raise FieldsRefusedError("a callback that says nothing: there should be a notifyType and a result")
        body = json.dumps(fields, separators=(",", ":")).encode("ascii")
        if self.profile.notify_url is None:
            raise FieldsRefusedError("the profile has no notify_url, and a callback is signed for its path")
        return SignedMessage(self._headers(self.profile.notify_url, at, body), body)

    def sign_request(self, method: str, biz: Mapping[str, Any], at: datetime) -> SignedMessage:
        """See WalletByHand."""
        signed = calls.signed_call(self.profile, self._call(method, biz, at), at)
        return SignedMessage(signed.headers, signed.body, signed.url)

    def _call(self, name: str, biz: Mapping[str, Any], at: datetime) -> calls.Call:
        check_call(name, biz, at)
        told = {"paymentNotifyUrl": self.profile.notify_url} if name == calls.PAY else {}
        return calls.Call(name, {**told, **biz})

    def _headers(self, url: str, at: datetime, body: bytes) -> dict[str, str]:
        return signed_headers(self.profile.app_private_key, self.profile.client_id or "", url, at, body)

    def _examined(self, answer: RawAnswer) -> ExaminedAnswer:
        try:
            fields = loads_object(answer.body)
        except MalformedRecordError as error:
            return _not_believed(str(error), "")
        code = result_of(fields).reason
        if answer.method not in CALLS:
            return _not_believed(f"{answer.method[:64]} is none of {', '.join(CALLS)}", code)
        path = path_of(calls.url_of(self.profile, answer.method)) if answer.path == by_hand.NO_PATH else answer.path
        try:
            verify_headers(
                answer.headers,
                answer.body,
                paths=(path,),
                time_name=RESPONSE_TIME,
                profile=self.profile,
                at=answer.received_at,
            )
        except NotBelievedError as error:
            return _not_believed(f"{error}{self._remark(str(error), answer.headers, RESPONSE_TIME, path)}", code)
        outcome, code = outcome_of(answer.method, fields)
        said = fields["result"].get("resultMessage") if isinstance(fields.get("result"), dict) else None
        reason = f"genuine: {said[:200]}" if isinstance(said, str) and said else "genuine"
        return ExaminedAnswer(ok=True, reason=reason, outcome=outcome, code=code, body=fields)

    def _remark(self, why: str, headers: Mapping[str, str], time_name: str, signed_for: str) -> str:
        """What to do about it, where that can be told from the headers."""
        if lacking := [name for name in ("client-id", time_name, "signature") if not headers.get(name)]:
            return f"; there is no header {', '.join(lacking)}: give those it came with with --headers H.json"
        if headers["client-id"] != self.profile.client_id:
            return f"; it is for the client {headers['client-id'][:64]}, the profile for {self.profile.client_id}"
        if why != DOES_NOT_VERIFY:
            return ""
        return f"; it was tried for {signed_for}: if it was sent to another address, name that with --path"


def examine_order_string(raw: bytes, profile: WalletProfile | None) -> ExaminedOrderString:
    """Reads an order string; verifies it if there is a profile. Never raises, whatever the bytes are."""
    read = read_order_string(raw)
    signature, remarks = _signature(read, profile)
    return ExaminedOrderString(
        ok=read.is_whole and not read.wrong_signature and signature != by_hand.NOT_VERIFIED,
        params=read.params,
        biz_content=read.fields,
        damage=tuple(each.name for each in read.damages),
        signature=signature,
        missing=read.missing,
        problems=(
            *(each.in_words for each in read.damages),
            *read.problems,
            *(f"{name} is missing" for name in read.missing),
            *remarks,
        ),
        repaired=read.repaired,
    )


def _signature(
    read: WrittenOrderString, profile: WalletProfile | None
) -> tuple[by_hand.Signature, tuple[str, ...]]:
    """How the signature stands, and why it does not verify."""
    wrong = (read.wrong_signature,) if read.wrong_signature else ()
    if profile is None:
        return by_hand.NOT_VERIFIABLE, wrong
    holds = read.verifies(profile.app_public_key)
    if not read.is_whole:
        only_damaged = holds and not (read.missing or read.problems)
        remark = "its signature verifies once that is undone: nothing else has happened to it"
        return by_hand.NOT_VERIFIABLE, (remark,) if only_damaged else wrong
    client_id = read.params["client_id"]
    if client_id != profile.client_id:
        return by_hand.NOT_VERIFIED, (f"it is of the client {client_id[:64]}, the profile of {profile.client_id}",)
    if holds:
        return by_hand.VERIFIED, ()
    return by_hand.NOT_VERIFIED, wrong or (
        "its signature does not verify with the profile's key: another key signed it, or it was changed after",
    )


def _first_that_is_ok(body: bytes, examined: Callable[[bytes], _Examined]) -> _Examined:
    """Of the body as it stands, and without the line's end that a file or a pipe may have added."""
    found = examined(body)
    bare = body.rstrip(_LINE_ENDS)
    if found.ok or bare == body:
        return found
    without = examined(bare)
    return without if without.ok else found


def _not_believed(why: str, code: str) -> ExaminedAnswer:
    return ExaminedAnswer(ok=False, reason=f"not believed: {why}", outcome=Outcome.UNKNOWN, code=code, body=None)
