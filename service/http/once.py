"""Carries a request out once, however often it is sent with the same Idempotency-Key."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256

import orjson
from pydantic import BaseModel

from service.http.problems import RETRY_AFTER_S, ProblemError
from service.store.idempotency import Answer, Event, IdempotencyKeys, Standing


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asked for what: `fingerprint` is of the method, the path and the body. `key` may be None."""

    caller: str
    key: str | None
    fingerprint: bytes

    def made_id(self, what: str) -> str | None:
        """An id that a repeat of this request would have too, even after its row is gone; None without a key."""
        if self.key is None:
            return None
        parts = (self.caller.encode(), self.key.encode(), self.fingerprint, what.encode())
        return sha256(b"".join(len(part).to_bytes(4) + part for part in parts)).hexdigest()[:40]


def asked(caller: str, key: str | None, path: str, body: BaseModel) -> Asked:
    """A POST as it was asked; two that differ only in spaces or in the order of fields are the same."""
    given = orjson.dumps(body.model_dump(mode="json", exclude_unset=True), option=orjson.OPT_SORT_KEYS)
    return Asked(caller, key, sha256(f"POST {path}\n".encode() + given).digest())


@dataclass(frozen=True, slots=True)
class Done:
    """An answer, the event that it is about, and whether it was given before."""

    answer: Answer
    event: Event
    repeated: bool = False


async def once(
    keys: IdempotencyKeys,
    request: Asked,
    event: Event,
    carry_out: Callable[[Event], Awaitable[Answer]],
    *,
    decided: Callable[[Answer], bool],
) -> Done:
    """Carries out `event`, or the one that was written down for the same key; or answers as before.

    Without a key it is simply carried out. `decided` says of an answer whether it is the last word. Raises
    ProblemError: 422 the key was used for another request, 409 the first is in progress, and what
    `carry_out` raises.
    """
    caller, key = request.caller, request.key
    if key is None:
        return Done(await carry_out(event), event)
    claim = await keys.claim(caller, key, request.fingerprint, event)
    if claim.standing is Standing.OTHER_REQUEST:
        raise ProblemError(422, "key-reused", "this Idempotency-Key was used for another request")
    if claim.standing is Standing.IN_PROGRESS:
        raise ProblemError(
            409,
            "in-progress",
            "a request with this Idempotency-Key is in progress",
            headers={"retry-after": str(RETRY_AFTER_S)},
        )
    if claim.answer is not None:
        return Done(claim.answer, claim.event, repeated=True)
    try:
        answer = await carry_out(claim.event)
    except ProblemError as error:
        # Where it was tried before, that may have been published: the key stays with it.
        await (keys.forget if error.unpublished and claim.is_new else keys.let_go)(caller, key)
        raise
    if decided(answer):
        return Done(await keys.answer(caller, key, answer), claim.event)
    await keys.let_go(caller, key)
    return Done(answer, claim.event)
