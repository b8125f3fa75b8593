"""One target under atheris: `python -m tests.fuzz.engine TARGET [libFuzzer's options and folders]`.

Ends as libFuzzer ends. `tests.fuzz.run` starts it through a script, named in PAYSTATE_FUZZ_SCRIPT: for a merge
libFuzzer starts itself again, which for it is the program's first argument.
"""

import logging
import os
import sys

import structlog

try:
    import atheris
except ModuleNotFoundError:
    sys.exit("fuzzing wants atheris: install it by hand (pip install atheris), it has no wheels for every Python")

with atheris.instrument_imports(include=["schemas", "service", "statemachine", "json", "uvicorn.protocols"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    # Each refusal would be a line.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    name = sys.argv.pop(1)
    sys.argv[0] = os.environ.get("PAYSTATE_FUZZ_SCRIPT", sys.argv[0])
    atheris.Setup(sys.argv, TARGETS[name].run)
    atheris.Fuzz()
