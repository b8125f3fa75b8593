"""Which dialects there are, and where the adapter of each is found. Loads an adapter only when it is wanted.

Two are built in. Another package adds one with an entry point in the group `paystate.wallets`, whose name is
the dialect's and whose object takes a profile's name and the profile, and gives a WalletAdapter.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Final

GROUP: Final = "paystate.wallets"
ALIPAY: Final = "alipay"
ALIPAY_PLUS: Final = "alipay_plus"

_BUILT_IN: Final = {
    name: EntryPoint(name, value, GROUP)
    for name, value in {
        ALIPAY: "service.wallets.alipay.adapter:AlipayAdapter",
        ALIPAY_PLUS: "service.wallets.alipay_plus.adapter:AlipayPlusAdapter",
    }.items()
}


class UnknownDialectError(ValueError):
    """No adapter speaks the dialect, or two packages claim it; the message says which there are."""


def find(dialect: str) -> EntryPoint:
    """Where the dialect's adapter is. Raises UnknownDialectError.

    A built-in one cannot be replaced by an installed package: who can add a package could else read keys
    without a word in the configuration. The installed ones are looked through only for other names.
    """
    if dialect in _BUILT_IN:
        return _BUILT_IN[dialect]
    installed = entry_points(group=GROUP)
    found = {point.value: point for point in installed if point.name == dialect}
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise UnknownDialectError(f"{dialect!r} is claimed by {' and '.join(sorted(found))}")
    known = sorted({*_BUILT_IN, *(point.name for point in installed)})
    raise UnknownDialectError(f"{dialect[:40]!r} is not one of {', '.join(known)}")
