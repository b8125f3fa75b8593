"""Which adapter speaks which dialect."""

from collections.abc import Callable, Mapping
from typing import Final

from service.wallets.adapter import WalletAdapter
from service.wallets.alipay.adapter import AlipayAdapter
from service.wallets.profile import WalletProfile

_ADAPTERS: Final[dict[str, Callable[[str, WalletProfile], WalletAdapter]]] = {"alipay": AlipayAdapter}


def build_adapters(profiles: Mapping[str, WalletProfile]) -> dict[str, WalletAdapter]:
    """An adapter for each profile, by its name."""
    return {name: _ADAPTERS[profile.dialect](name, profile) for name, profile in profiles.items()}
