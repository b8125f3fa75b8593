"""What is wrong with an order string that the cashier was brought: words for the person who brought it.

These are the words of `paystate wallet parse-order-string`. They decide nothing: what the wallet believes is for
`control` to say, by the sandbox's own code.
"""

from typing import Any

from service.wallets.alipay.by_hand import examine_order_string

# An order string is about a kilobyte.
MAX_ORDER_STRING = 16_384


def diagnosis(order_str: str) -> dict[str, Any]:
    """`problems` in words, the damaged and missing parameters, what could be read, and the text mended.

    Of a text that is empty or too long to be an order string nothing is said.
    """
    if not 1 <= len(order_str) <= MAX_ORDER_STRING:
        return {"problems": [], "damage": [], "missing": [], "biz_content": None, "repaired": ""}
    found = examine_order_string(order_str.encode("utf-8", "replace"), None)
    is_alipays = "client_id" not in found.params
    return {
        # The examination knows only Alipay's parameters, and would miss every one of them in another dialect.
        "problems": list(found.problems) if is_alipays else [],
        "damage": list(found.damage),
        "missing": list(found.missing) if is_alipays else [],
        "biz_content": found.biz_content,
        "repaired": found.repaired,
    }
