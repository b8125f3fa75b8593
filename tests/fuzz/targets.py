"""All targets, by name."""

from tests.fuzz.alipay import ALIPAY
from tests.fuzz.bridge import BRIDGE
from tests.fuzz.callers import CALLERS
from tests.fuzz.keys import KEYS
from tests.fuzz.plus import PLUS
from tests.fuzz.records import RECORDS
from tests.fuzz.target import Target

TARGETS: dict[str, Target] = {**RECORDS, **ALIPAY, **PLUS, **BRIDGE, **CALLERS, **KEYS}
