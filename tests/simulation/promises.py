"""How a check speaks: a rule that must hold, and the error when it does not."""


class BrokenPromiseError(AssertionError):
    """Something that must never be. The message says which rule, and of what."""


def must(holds: bool, rule: str, *about: object) -> None:
    if not holds:
        raise BrokenPromiseError(f"{rule}: {' '.join(map(str, about))}")
