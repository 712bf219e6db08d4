"""How the C library hands out memory in a process of ours."""

import ctypes


def keep_memory() -> None:
    """Tells glibc to keep freed blocks instead of returning each to the system.

    Small networks on the CPU, and films that are decoded, take the same few large blocks thousands
    of times, and handing them back every time costs (benchmarks/README.md). Elsewhere than on glibc
    nothing happens.
    """
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # names of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for parameter, value in (
        (mmap_threshold, 32 << 20),
        (trim_threshold, 1 << 30),
        (top_pad, 64 << 20),
    ):
        mallopt(parameter, value)
