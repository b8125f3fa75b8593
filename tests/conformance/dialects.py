"""The dialects that the stories are told in. A new one adds a row; its wallet has to be in the sandbox."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from service.wallets.profile import WalletProfile


@dataclass(frozen=True)
class Dialect:
    """A profile that the sandbox writes, with settings of it that are other here."""

    name: str
    profile: str
    settings: Mapping[str, str] = field(default_factory=dict)
    # Whether what is left after a capture can be given back by a call of its own.
    releases_the_rest: bool = True

    def __str__(self) -> str:
        return self.name

    def of(self, profiles: Mapping[str, WalletProfile]) -> WalletProfile:
        """Its profile."""
        return profiles[self.profile].model_copy(update=dict(self.settings))


DIALECTS = (
    Dialect("alipay", "sandbox"),
    Dialect("alipay_plus", "sandbox_plus"),
    Dialect("alipay_plus_by_cancel", "sandbox_plus", {"release_call": "cancel"}, releases_the_rest=False),
)
