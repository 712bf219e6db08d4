"""How the C library manages memory in medidd's processes."""

import ctypes


def keep_memory() -> None:
    """Tells glibc to keep freed blocks instead of returning each to the system.

    Small networks on the CPU, and the decoding of films, use the same few large blocks thousands of
    times. Returning them every time costs time (benchmarks/README.md). Without glibc this does
    nothing.
    """
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # constants of malloc.h
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
