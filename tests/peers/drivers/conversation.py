"""How a driver is spoken to: one JSON object a line on standard input, one a line on standard output.

A driver runs in its peer's environment, so nothing of ours can be imported in it but this file.
"""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any

Ask = Callable[..., Any]


def converse(begin: Callable[..., Mapping[str, Ask]]) -> None:
    """The first line is given to `begin`, which answers what can be asked; every other line asks one of them.

    What a peer raises is an answer, too: `{"raised": "Name: text"}`.
    """
    # A peer that prints something must not spoil the conversation.
    answers, sys.stdout = sys.stdout, sys.stderr
    asked = begin(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        wish = json.loads(line)
        try:
            answer = {"answer": asked[wish.pop("ask")](**wish)}
        except Exception as error:  # noqa: BLE001 - whatever a peer raises
            answer = {"raised": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)
