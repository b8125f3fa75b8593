"""Run by path, as a program: becomes another program that ends with its parent, without root if asked.

    python -I -S unprivileged.py PARENT_PID DEATH_SIGNAL UID|- COMMAND…

It stands between fork and exec, in a process of its own, so that nothing of ours runs in the fork of a
parent that has threads. It imports nothing of paystate.

Postgres refuses to run as root. The one capability that is kept spares us from opening parent directories
(a 0700 home above the data or the binaries), which are not ours.
"""

import contextlib
import ctypes
import os
import sys

# Linux's own numbers: linux/prctl.h, linux/securebits.h, linux/capability.h.
PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522

NO_CHANGE = "-"


def drop_root(uid: int) -> None:
    """Changes to `uid`; keeps the right to pass through directories where the machine grants it."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Without this bit setuid() takes every capability away, and access(), by which Postgres looks for its
    # own binaries, would not honour the one that we keep.
    libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    with contextlib.suppress(PermissionError):  # A user namespace may forbid setgroups().
        os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    for kept in (1 << CAP_DAC_OVERRIDE, 0):
        # Effective, permitted and inheritable; the upper words are empty. A container may not have it to
        # give: then nothing is kept.
        if libc.capset(header, (ctypes.c_uint32 * 6)(kept, kept, kept, 0, 0, 0)) == 0:
            break
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)
    os.environ.update(HOME="/", USER="paystate", LOGNAME="paystate")


def main(parent: int, death_signal: int, uid: str, command: list[str]) -> None:
    """Does what the module's docstring says; does not return."""
    if uid != NO_CHANGE:
        drop_root(int(uid))
    if sys.platform == "linux":
        # After the change of user, which would clear it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent ended before its child began")
    os.execv(command[0], command)  # noqa: S606  a shell is what we do not want


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[4]}: {error}")
