"""Which adapter speaks which dialect."""

from collections.abc import Callable, Mapping
from typing import Final

from service.wallets.adapter import WalletAdapter
from service.wallets.alipay.adapter import AlipayAdapter
from service.wallets.alipay.by_hand import AlipayByHand
from service.wallets.by_hand import WalletByHand
from service.wallets.profile import WalletProfile

_ADAPTERS: Final[dict[str, Callable[[str, WalletProfile], WalletAdapter]]] = {"alipay": AlipayAdapter}
_BY_HAND: Final[dict[str, Callable[[str, WalletProfile], WalletByHand]]] = {"alipay": AlipayByHand}


def build_adapters(profiles: Mapping[str, WalletProfile]) -> dict[str, WalletAdapter]:
    """An adapter for each profile, by its name."""
    return {name: _ADAPTERS[profile.dialect](name, profile) for name, profile in profiles.items()}


def by_hand(name: str, profile: WalletProfile) -> WalletByHand:
    """The profile's dialect for people."""
    return _BY_HAND[profile.dialect](name, profile)
