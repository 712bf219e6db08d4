"""What one outer step costs: seconds, kernels and memory, each measured in a fresh process.

No measurement finds what another one has left, for each has a process of its own. That one first
takes the step in miniature, to load what torch loads once; then takes it and counts memory and
kernels; then takes it again and times it. S does not move, and what lies before the step on its
path is not counted, except that its memory is.
"""

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.counters import Kernels, memory, on_gpu, wait, within_memory
from benchmarks.textbook import Films, Outcome, outcomes
from medidd.architectures import convnet
from medidd.data import RealSet, Source, SyntheticSet
from medidd.denoisers.presets import usual
from medidd.denoisers.trained import Trained
from medidd.distill import Decodes, DrawsImages, Method, Prepares, learned
from medidd.experts.trajectories import Experts, Trajectories
from medidd.features import FEATURES
from medidd.fields import fields, make
from medidd.kernels import KERNELS
from medidd.machine.allocator import keep_memory
from medidd.machine.precision import convolve_in
from medidd.methods import METHODS

PROCESSES = multiprocessing.get_context("spawn")
"""Fresh processes. The server of forks is one for a whole program, and serves the ingest."""

FORMS = ("medidd", "textbook", "textbook, tuned")
"""The methods as the command line runs them, and their textbook form with either allocator."""

Gradients = list[dict[str, Tensor]]


@dataclass(frozen=True)
class Step:
    """One outer step.

    Attributes:
        method: its name.
        size: pixels along each side of an image.
        channels: C.
        classes: K.
        ipc: images per class.
        values: the method's fields that are not its defaults.
        width: filters of the ConvNet.
        batch: real images per class, and as many in a batch.
    """

    method: str
    size: int = 64
    channels: int = 1
    classes: int = 2
    ipc: int = 3
    values: dict[str, Any] | None = None
    width: int = 128
    batch: int = 256

    @property
    def updates(self) -> tuple[int, int]:
        """Updates of S along the path before the step, and in it.

        DC trains its network between two updates, and IDC between two rounds over the classes. The
        pool of FRePo serves a whole path.
        """
        if self.method in ("dc", "dsa"):
            return 1, 1
        if self.method == "idc":
            return self.classes, self.classes
        if self.method == "frepo":
            return 0, int((self.values or {})["online"])
        return 0, 1


@dataclass(frozen=True)
class Cost:
    """What a step cost.

    Attributes:
        seconds: on the wall.
        process_seconds: of all threads.
        kernels: on a GPU kernels, on a CPU operators that compute something; views are left out.
        peak: bytes that the step needed beside what there was before.
        busy: share of the step that a GPU computed; None on a CPU.
    """

    seconds: float
    process_seconds: float
    kernels: int
    peak: int
    busy: float | None


def measured(
    step: Step,
    form: str,
    folder: Path,
    *,
    device: str,
    threads: int,
    precision: str = "float32",
) -> tuple[Cost, Gradients] | str:
    """Measures a step in a process of its own.

    Args:
        step: what to measure.
        form: one of ``FORMS``.
        folder: where experts are kept for other processes.
        device: "cpu" or "cuda".
        threads: of torch.
        precision: of convolutions, in every form.

    Returns:
        What it cost, and what its gradients are; or "out of memory".

    Raises:
        RuntimeError: it failed otherwise.
    """
    os.environ["OMP_NUM_THREADS"] = str(threads)
    here, there = PROCESSES.Pipe(duplex=False)
    how = (device, threads, precision)
    child = PROCESSES.Process(target=_answer, args=(there, step, form, folder, *how))
    child.start()
    there.close()
    try:
        answer = here.recv()
    except EOFError:
        answer = None
    child.join()
    if isinstance(answer, Cost):
        return answer, torch.load(folder / "gradients.pt")
    if isinstance(answer, MemoryError) or child.exitcode == -signal.SIGKILL:
        return "out of memory"
    raise RuntimeError(f"{step.method}, {form}: {answer or f'ended with {child.exitcode}'}")


def _answer(
    there: Connection,
    step: Step,
    form: str,
    folder: Path,
    device: str,
    threads: int,
    precision: str,
) -> None:
    answer: Cost | MemoryError | str
    torch.set_num_threads(threads)
    convolve_in(precision)
    try:
        answer = _cost(step, form, folder, torch.device(device))
    except MemoryError as error:
        answer = error
    except Exception as error:  # torch raises a RuntimeError where memory is short
        answer = MemoryError() if "memory" in str(error) else repr(error)
    there.send(answer)


def _cost(step: Step, form: str, folder: Path, device: torch.device) -> Cost:
    """Measures a step in this process, and keeps its gradients in the folder."""
    if form != "textbook":
        keep_memory()
    if device.type == "cpu":
        within_memory()
    small = replace(step, size=16, width=4, batch=4)
    _counted(_path(small, form, folder / "small", device), small, device)
    found, kernels, peak = _counted(_path(step, form, folder, device), step, device)
    torch.save(found, folder / "gradients.pt")
    del found

    path = _path(step, form, folder, device)
    _advanced(path, step.updates[0])
    wait(device)
    wall, process = time.perf_counter(), time.process_time()
    _advanced(path, step.updates[1])
    wait(device)
    seconds, process_seconds = time.perf_counter() - wall, time.process_time() - process

    busy = None
    if device.type == "cuda":
        path = _path(step, form, folder, device)
        _advanced(path, step.updates[0])
        kernels, computing = on_gpu(lambda: _advanced(path, step.updates[1]))
        busy = computing / seconds
    return Cost(seconds, process_seconds, kernels, peak, busy)


def _advanced(path: Iterator[dict[str, Tensor]], updates: int) -> None:
    for _ in range(updates):
        next(path)


def _counted(
    path: Iterator[dict[str, Tensor]], step: Step, device: torch.device
) -> tuple[Gradients, int, int]:
    """Takes a step; returns the gradients of its updates, its kernels on a CPU, and its bytes."""
    before = memory(device)
    _advanced(path, step.updates[0])
    with Kernels() if device.type == "cpu" else contextlib.nullcontext() as counter:
        found = [next(path) for _ in range(step.updates[1])]
    peak = memory(device, peak=True) - before
    grads = [{name: grad.cpu() for name, grad in of.items()} for of in found]
    return grads, 0 if counter is None else counter.count, peak


def _path(step: Step, form: str, folder: Path, device: torch.device) -> Iterator[dict[str, Tensor]]:
    """Yields the gradients of each update along one path; all that is drawn comes from seed 0."""
    rng = torch.Generator().manual_seed(0)
    shape = (step.channels, step.size, step.size)
    labels = torch.arange(step.classes).repeat_interleave(step.batch)
    films = torch.randn(len(labels), *shape, generator=rng).add_(labels[:, None, None, None] / 2)
    images = torch.randn(step.classes * step.ipc, *shape, generator=rng).clamp_(-2, 2)
    hard = torch.eye(step.classes).repeat_interleave(step.ipc, 0)
    s = SyntheticSet(*(tensor.to(device) for tensor in (images, hard, torch.zeros(()))))
    t = Films(films.clamp_(-2, 2).to(device), labels.to(device), step.classes)
    method = _method(step, t, folder)
    if isinstance(method, DrawsImages) and isinstance(method, Decodes):
        s = method.encode(s)  # the noise that images are drawn from, and the weights
    if isinstance(method, Prepares):
        s = method.prepare(s)
    return _ours(method, s, t, rng) if form == "medidd" else _textbook(method, s, t, rng)


def _method(step: Step, t: Films, folder: Path) -> Method:
    """Makes the method; matching trajectories needs an expert that took a few steps."""
    kind, f = (
        METHODS[step.method],
        convnet(step.classes, step.channels, step.size, width=step.width),
    )
    known = fields(kind)
    values = {"kernel": "fc", "features": "dct", "network": f}
    if "experts" not in known:  # else it is that of synthetic images
        values["batch"] = step.batch
    values |= step.values or {}
    for name, makers in (("kernel", KERNELS), ("features", FEATURES)):
        values[name] = makers[values[name]]()
    if "denoiser" in known:  # of fresh weights, for they cost what others cost
        shape = usual("cpu", step.size)
        values["denoiser"] = Trained(None, shape, step.classes, step.channels, step.size, {})
    if "experts" in known:
        values |= {"experts": _expert(f, t, folder), "expert_epochs": 1, "last_start": 0}
    return make(kind, {name: value for name, value in values.items() if name in known})


def _expert(f: Any, t: Films, folder: Path) -> Trajectories:
    few = Films(t.images.cpu(), t.labels.cpu(), t.classes)
    how = Experts(f, count=1, epochs=1, epoch_steps=3, batch=8 * t.classes)

    def source(_: int, rng: torch.Generator) -> RealSet:
        return RealSet(few.images, few.labels, few.classes, rng)

    list(how.make(folder / "experts", source, {}))
    return Trajectories(folder / "experts", f, {})


def along_a_path(
    method: Method, s: SyntheticSet, real: Source, rng: torch.Generator
) -> Iterator[Outcome]:
    """Yields what a method itself finds along one path, as ``outcomes`` does for its textbook."""
    wanted = learned(method.optimizer(s))
    names = {id(tensor): name for name, tensor in s.tensors().items()}
    for tensor in wanted:
        tensor.requires_grad_()
    for loss in method.losses(s, real, rng):
        for tensor in wanted:
            tensor.grad = None
        loss.backward()
        grads = {names[id(tensor)]: tensor.grad.clone() for tensor in wanted}
        yield Outcome(loss.detach(), grads)


def _ours(
    method: Method, s: SyntheticSet, t: Films, rng: torch.Generator
) -> Iterator[dict[str, Tensor]]:
    real = RealSet(t.images, t.labels, t.classes, rng)
    for outcome in along_a_path(method, s, real, rng):
        yield outcome.gradients


def _textbook(
    method: Method, s: SyntheticSet, t: Films, rng: torch.Generator
) -> Iterator[dict[str, Tensor]]:
    for found in outcomes(method, s, t, rng):
        yield found.gradients
