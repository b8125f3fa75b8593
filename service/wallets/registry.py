"""Builds the adapter of each profile. Which adapter speaks which dialect is said in `dialects`."""

from collections.abc import Callable, Mapping

from service.wallets import dialects
from service.wallets.adapter import WalletAdapter
from service.wallets.profile import WalletProfile


def build_adapters(profiles: Mapping[str, WalletProfile]) -> dict[str, WalletAdapter]:
    """An adapter for each profile, by its name."""
    return {name: _build(name, profile) for name, profile in profiles.items()}


def _build(name: str, profile: WalletProfile) -> WalletAdapter:
    make: Callable[[str, WalletProfile], WalletAdapter] = dialects.find(profile.dialect).load()
    return make(name, profile)
