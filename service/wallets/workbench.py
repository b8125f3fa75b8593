"""Which dialects people can use by hand."""

from collections.abc import Callable
from typing import Final

from service.wallets.alipay.by_hand import AlipayByHand
from service.wallets.by_hand import WalletByHand
from service.wallets.profile import WalletProfile

BY_HAND: Final[dict[str, Callable[[str, WalletProfile], WalletByHand]]] = {"alipay": AlipayByHand}


class NotByHandError(ValueError):
    """A dialect of which nothing can be made or examined by hand; the message says which can."""


def by_hand(name: str, profile: WalletProfile) -> WalletByHand:
    """The profile's dialect for people. Raises NotByHandError."""
    if profile.dialect not in BY_HAND:
        raise NotByHandError(f"profile {name}: of the dialects only {', '.join(BY_HAND)} can be used by hand")
    return BY_HAND[profile.dialect](name, profile)
