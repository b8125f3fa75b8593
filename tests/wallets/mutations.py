"""Mutated callbacks: thousands of forgeries of genuine ones, of which none may be believed.

`python -m tests.wallets.mutations 100000 [SEED]` runs as many and prints the figures. One that is believed has
to decode to exactly the fields of the genuine one (as `%2f` for `%2F` does), no exception may be raised but
CallbackRefusedError, and none may take longer than 50 ms of processor time.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes

from service.wallets.adapter import CallbackRefusedError
from service.wallets.alipay.callback import FIELDS, sign_callback, verify_callback
from service.wallets.parameters import read_form
from service.wallets.profile import WalletProfile
from service.wallets.signatures import SignType, sign
from tests.wallets.orders import freeze_callback, release_callback, trade_callback
from tests.wallets.vectors import NOW, every_vector, private_key, profile, profile_of

LONGEST_S = 0.050
# The signature and what it is made with: no fields of the message.
ENVELOPE = frozenset({"sign", "sign_type"})
CHARSETS = (b"utf-8", b"GBK", b"gbk", b"gb2312", b"GB18030", b"UTF8", b"utf-7", b"latin-1", b"")
NUMBERS = (b"0.01", b"9999.00", b"1e3", b"-1", b"500.00", b"NaN", "\u0661".encode())

Mutate = Callable[[random.Random, "Genuine"], bytes]


@dataclass(frozen=True)
class Genuine:
    """A callback that is believed, and what else its sender could have signed of the same fields."""

    body: bytes
    profile: WalletProfile
    fields: dict[str, str]
    # Signatures over the same base strings under the other hash, as an attacker may hold them.
    other_signs: tuple[bytes, ...]

    @property
    def pairs(self) -> list[bytes]:
        return self.body.split(b"&")


def genuine_ones() -> tuple[Genuine, ...]:
    """The vectors that are to be believed, and callbacks of our own in both charsets."""
    vectors = [v for v in every_vector() if v["kind"] == "notify_form" and v["accept"]]
    own = [
        trade_callback(subject="50% off & more + a=b / c", body="", refund_fee="20.00", out_biz_no="o1__B1"),
        freeze_callback(order_title="充电"),
        release_callback(),
    ]
    return (
        *(_genuine(vector["body"].encode(), profile_of(vector)) for vector in vectors),
        *(_genuine(sign_callback(f, private_key("wallet_rsa2048"), SignType.RSA2, "GBK"), profile()) for f in own),
    )


def _genuine(body: bytes, of: WalletProfile) -> Genuine:
    form = read_form(body, of.charset)
    other = SignType.RSA if of.sign_type is SignType.RSA2 else SignType.RSA2
    bases = [form.base_string(without=frozenset(names)) for names in (("sign", "sign_type"), ("sign",))]
    others = tuple(sign(private_key("wallet_rsa2048"), base, other).encode() for base in bases)
    return Genuine(body, of, verify_callback(body, of, NOW), others)


# ------------------------------------------------------------------------------------------------------ mutations


def flip_bits(rng: random.Random, genuine: Genuine) -> bytes:
    body = bytearray(genuine.body)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return bytes(body)


def change_bytes(rng: random.Random, genuine: Genuine) -> bytes:
    body, at = genuine.body, rng.randrange(len(genuine.body))
    length = rng.choice((0, 1, 1, 2, 16))
    put = bytes(rng.choice((rng.randrange(256), *b"&=%+;\0")) for _ in range(rng.choice((0, 1, 1, 3))))
    return body[:at] + put + body[at + length :]


def cut_short(rng: random.Random, genuine: Genuine) -> bytes:
    return genuine.body[: rng.randrange(len(genuine.body))]


def reorder(rng: random.Random, genuine: Genuine) -> bytes:
    return b"&".join(rng.sample(genuine.pairs, len(genuine.pairs)))


def swap_values(rng: random.Random, genuine: Genuine) -> bytes:
    pairs = genuine.pairs
    first, second = rng.sample(range(len(pairs)), 2)
    (a, _, x), (b, _, y) = pairs[first].partition(b"="), pairs[second].partition(b"=")
    pairs[first], pairs[second] = a + b"=" + y, b + b"=" + x
    return b"&".join(pairs)


def repeat_key(rng: random.Random, genuine: Genuine) -> bytes:
    pairs = genuine.pairs
    name, _, value = rng.choice(pairs).partition(b"=")
    name = rng.choice(
        (name, b"%%%02x" % name[0] + name[1:], name.upper(), name + b"%00", b" " + name, name + b"[]")
    )
    pairs.insert(rng.randrange(len(pairs) + 1), name + b"=" + rng.choice((value, b"", rng.choice(NUMBERS))))
    return b"&".join(pairs)


def drop_key(rng: random.Random, genuine: Genuine) -> bytes:
    pairs = genuine.pairs
    del pairs[rng.randrange(len(pairs))]
    return b"&".join(pairs)


def add_key(rng: random.Random, genuine: Genuine) -> bytes:
    pairs = genuine.pairs
    name = rng.choice((*FIELDS, "x", "zz", "Sign", "sign_type2")).encode()
    pairs.insert(rng.randrange(len(pairs) + 1), name + b"=" + rng.choice((b"", b"1", rng.choice(NUMBERS))))
    return b"&".join(pairs)


def change_a_value(rng: random.Random, genuine: Genuine) -> bytes:
    pairs = genuine.pairs
    at = rng.randrange(len(pairs))
    name = pairs[at].partition(b"=")[0]
    pairs[at] = name + b"=" + rng.choice((*NUMBERS, b"", b"o2", b"TRADE_FINISHED", b"%", b"%2", b"%zz", b"%ff%fe"))
    return b"&".join(pairs)


def swap_charset(rng: random.Random, genuine: Genuine) -> bytes:
    """Another charset named, or the values in the bytes of another under the old name, or both."""
    old, new = genuine.fields["charset"], rng.choice(CHARSETS)
    pairs = []
    recode = rng.random() < 0.5
    for pair in genuine.pairs:
        name, _, value = pair.partition(b"=")
        if name == b"charset" and not (recode and rng.random() < 0.5):
            value = new
        elif recode:
            text = unquote_to_bytes(value.replace(b"+", b" ")).decode(old)
            value = quote(text.encode("gbk" if old == "utf-8" else "utf-8", "replace")).encode()
        pairs.append(name + b"=" + value)
    return b"&".join(pairs)


def downgrade_hash(rng: random.Random, genuine: Genuine) -> bytes:
    """The sender's own signature of the same fields under the other hash, and a sign_type that claims it."""
    said = rng.choice((b"RSA", b"RSA2", b"rsa", b"MD5", b"DSA", b"RSA256", b"", None))
    pairs = [pair for pair in genuine.pairs if not pair.startswith((b"sign=", b"sign_type="))]
    pairs.append(b"sign=" + quote(rng.choice(genuine.other_signs), safe="").encode())
    if said is not None:
        pairs.append(b"sign_type=" + said)
    return b"&".join(pairs)


def respell(rng: random.Random, genuine: Genuine) -> bytes:
    """Other spellings of the same bytes: these decode to the same fields, and may be believed."""
    pairs = []
    for pair in genuine.pairs:
        name, _, value = pair.partition(b"=")
        raw = unquote_to_bytes(value.replace(b"+", b" "))
        spelled = rng.choice((
            value,
            quote_from_bytes(raw, safe="!'()*~/:").encode(),
            b"".join(b"%%%02x" % byte for byte in raw),
            value.replace(b"%2B", b"+"),
        ))  # fmt: skip
        pairs.append(name + b"=" + spelled)
    return b"&".join(pairs)


def move_a_cut(rng: random.Random, genuine: Genuine) -> bytes:
    """The base string does not escape: a field is hidden in the value before it, or taken out of one."""
    ordered = sorted(pair for pair in genuine.pairs if not pair.startswith(b"sign"))
    rest = [pair for pair in genuine.pairs if pair.startswith(b"sign")]
    at = rng.randrange(len(ordered) - 1)
    if rng.random() < 0.7:
        hidden = ordered.pop(at + 1)
        ordered[at] += b"%26" + hidden.replace(b"=", rng.choice((b"%3D", b"=")), 1)
    else:
        text = b"&".join(ordered)
        text = text.replace(b"%26", b"&") if rng.random() < 0.5 else text.replace(b"%3D", b"=")
        ordered = text.split(b"&")
    return b"&".join([*ordered, *rest])


def splice(rng: random.Random, genuine: Genuine) -> bytes:
    """Some fields of another genuine message, with the signature of one of them."""
    theirs = {pair.partition(b"=")[0]: pair for pair in rng.choice(GENUINE).pairs}
    return b"&".join(
        theirs.get(pair.partition(b"=")[0], pair) if rng.random() < 0.3 else pair for pair in genuine.pairs
    )


def bloat(rng: random.Random, genuine: Genuine) -> bytes:
    """As long as a body may be, to make reading slow."""
    unit = rng.choice(
        (b"%26trade_no", b"%26", b"&a", b"&a=1", b"%", b"=", b"+", b"%2", b"a", b"%26a=", b"\xff", b"%e5")
    )
    times = rng.choice((10, 1_000, 65_000)) // len(unit)
    at = rng.randrange(len(genuine.body))
    return (genuine.body[:at] + unit * times + genuine.body[at:])[: rng.choice((65_536, 65_537, 70_000))]


GENUINE = genuine_ones()
MUTATIONS: tuple[Mutate, ...] = (
    flip_bits, change_bytes, cut_short, reorder, swap_values, repeat_key, drop_key, add_key, change_a_value,
    swap_charset, downgrade_hash, respell, move_a_cut, splice, bloat,
)  # fmt: skip


def mutants(count: int, seed: int) -> Iterator[tuple[str, Genuine, bytes]]:
    """So many mutated callbacks, each sort as often as any other, sometimes one upon the other."""
    rng = random.Random(seed)
    for number in range(count):
        genuine = GENUINE[number % len(GENUINE)]
        mutate = MUTATIONS[number // len(GENUINE) % len(MUTATIONS)]
        body = mutate(rng, genuine)
        if rng.random() < 0.2:
            # The first may have left nothing that a second could work on.
            with suppress(ValueError, IndexError, LookupError):
                body = rng.choice(MUTATIONS)(rng, replace(genuine, body=body))
        yield mutate.__name__, genuine, body


# ------------------------------------------------------------------------------------------------------ the figures


@dataclass
class Figures:
    """What became of the mutants. `wrong` are those that break the promise, and should be none."""

    seed: int
    count: int = 0
    believed: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    total_s: float = 0.0


def examine(count: int, seed: int) -> Figures:
    """Has every mutant verified."""
    figures = Figures(seed)
    for name, genuine, body in mutants(count, seed):
        figures.count += 1
        began = time.thread_time()
        try:
            fields = verify_callback(body, genuine.profile, NOW)
        except CallbackRefusedError:
            fields = None
        except Exception as error:  # noqa: BLE001 - that there is none is what is tested
            fields = None
            figures.wrong.append(f"{name} raised {error!r}: {body[:2_000]!r}")
        took_s = time.thread_time() - began
        figures.total_s += took_s
        figures.slowest_s = max(figures.slowest_s, took_s)
        if took_s > LONGEST_S:
            figures.wrong.append(f"{name} took {took_s:.3f} s: {body[:2_000]!r}")
        if fields is None:
            figures.refused[name] += 1
            continue
        figures.believed[name] += 1
        # Spliced, it may be the whole of another genuine one.
        if _without_envelope(fields) not in [_without_envelope(each.fields) for each in GENUINE]:
            figures.wrong.append(f"{name} was believed with {fields}: {body[:2_000]!r}")
    return figures


def _without_envelope(fields: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if name not in ENVELOPE}


def main() -> None:
    """The full run."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(2**32)
    figures = examine(count, seed)
    for mutate in MUTATIONS:
        name = mutate.__name__
        print(
            f"{name:16} {figures.refused[name]:7} refused {figures.believed[name]:7} believed, with the same fields"
        )
    mean_ms = figures.total_s / max(1, figures.count) * 1e3
    print(
        f"{figures.count} mutants, seed {seed}: {mean_ms:.2f} ms on average, {figures.slowest_s * 1e3:.1f} at most"
    )
    for wrong in figures.wrong[:20]:
        print(f"WRONG: {wrong}")
    print(f"{len(figures.wrong)} wrong")
    sys.exit(1 if figures.wrong else 0)


if __name__ == "__main__":
    main()
