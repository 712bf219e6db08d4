"""How the C library manages memory in medidd's processes."""

import ctypes


def keep_memory() -> None:
    """Tells glibc to keep freed blocks instead of returning each to the system.

    Networks on the CPU, and the decoding of films, use the same few large blocks thousands of
    times. A block that is mapped on its own is given back every time, and each of its pages costs a
    fault when it is used again; glibc maps every block above 32 MiB unless it is told to map none
    (benchmarks/README.md). Without glibc this does nothing.
    """
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # constants of malloc.h
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return
    for parameter, value in (
        (mmap_max, 0),
        (trim_threshold, 1 << 30),
        (top_pad, 64 << 20),
    ):
        mallopt(parameter, value)
