"""Where a command computes, with how many threads, and in what precision."""

import torch

from medidd.machine.precision import convolve_in
from pipelines.run.errors import Exit, Stop


def device(name: str) -> torch.device:
    """Returns the device that "auto", "cpu" or "cuda" stands for.

    Raises:
        Stop: CUDA is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise Stop("no CUDA device is usable here; use --device cpu or auto", Exit.USAGE)
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def use(where: torch.device, threads: int, precision: str) -> None:
    """Settles how this process computes from now on.

    Args:
        where: the device.
        threads: of the CPU.
        precision: of convolutions, one of ``medidd.machine.precision.PRECISIONS``.

    Raises:
        Stop: the device has no such precision.
    """
    if precision == "tf32" and where.type == "cpu":
        raise Stop("--precision tf32 needs a GPU; use float32 or bfloat16", Exit.USAGE)
    torch.set_num_threads(threads)
    convolve_in(precision)
