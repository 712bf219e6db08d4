"""What counts kernels and memory in the process that measures.

On a CPU a kernel is an operator that computes something, and memory is what the process holds.
"""

import contextlib
import ctypes
import gc
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Kernels(TorchDispatchMode):
    """Counts the operators that compute something, those of the backward pass too.

    Attributes:
        count: so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one operator."""
        returned = [of.alias_info for of in func._schema.returns]
        is_view = any(alias is not None and not alias.is_write for alias in returned)
        name = func.overloadpacket.__name__
        if not is_view and not name.startswith(("empty", "new_empty", "_unsafe_view")):
            self.count += 1
        return func(*args, **(kwargs or {}))


def on_gpu(run: Callable[[], None]) -> tuple[int, float]:
    """Returns how many kernels a GPU runs, and the seconds that they take."""
    from torch.profiler import ProfilerActivity, profile

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        run()
        torch.cuda.synchronize()
    events = [
        event
        for event in profiler.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
        and not event.name.startswith(("Memcpy", "Memset"))
    ]
    return len(events), sum(event.time_range.elapsed_us() for event in events) / 1e6


def wait(device: torch.device) -> None:
    """Waits until all is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def memory(device: torch.device, *, peak: bool = False) -> int:
    """Returns the bytes in use, or the most that were since they were asked for last."""
    wait(device)
    if peak:
        return torch.cuda.max_memory_allocated() if device.type == "cuda" else _status("VmHWM")
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the greatest size so far
    return _status("VmRSS")


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return int(line.split()[1]) * 1024


def within_memory() -> None:
    """Lets a step that needs more memory than there is fail, and nothing else."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    (free,) = (int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    limit = int(0.9 * free)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
