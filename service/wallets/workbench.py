"""Which dialects people can use by hand."""

from collections.abc import Callable
from typing import Final

from service.wallets.alipay import by_hand as alipay
from service.wallets.alipay_plus import by_hand as alipay_plus
from service.wallets.alipay_plus.written_order_string import is_of_this_dialect
from service.wallets.by_hand import ExaminedOrderString, WalletByHand
from service.wallets.profile import WalletProfile

BY_HAND: Final[dict[str, Callable[[str, WalletProfile], WalletByHand]]] = {
    "alipay": alipay.AlipayByHand,
    "alipay_plus": alipay_plus.AlipayPlusByHand,
}


class NotByHandError(ValueError):
    """A dialect of which nothing can be made or examined by hand; the message says which can."""


def by_hand(name: str, profile: WalletProfile) -> WalletByHand:
    """The profile's dialect for people. Raises NotByHandError."""
    if profile.dialect not in BY_HAND:
        raise NotByHandError(f"profile {name}: of the dialects only {', '.join(BY_HAND)} can be used by hand")
    return BY_HAND[profile.dialect](name, profile)


def examine_order_string(raw: bytes) -> ExaminedOrderString:
    """An order string without a profile, in the dialect that it looks like. Never raises."""
    if is_of_this_dialect(raw):
        return alipay_plus.examine_order_string(raw, None)
    return alipay.examine_order_string(raw, None)
