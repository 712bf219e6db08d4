"""What medidd doctor checks in addition to folders: software, decoders, machine, process.

No check shows the name of a host, a user or a folder.
"""

import os
import platform
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

State = Literal["ok", "warning", "broken"]

NEEDED = ("torch", "numpy", "pydicom", "monai", "scikit-learn", "safetensors", "onnxruntime")
CODECS = ("python-gdcm", "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls")
OPTIONAL = {"imagecodecs": "imagecodecs"}
"""Packages that only some files need, and what to install to get them."""


@dataclass(frozen=True)
class Check:
    """One thing that was checked.

    Attributes:
        name: what.
        state: "broken" if it keeps medidd from working.
        text: what was found, and the remedy.
    """

    name: str
    state: State
    text: str


def software() -> Iterator[Check]:
    """Checks the versions of medidd and of the packages it needs."""
    where = f"{platform.system()} on {platform.machine()}"
    supported: State = "ok" if platform.system() == "Linux" else "warning"
    remedy = "" if supported == "ok" else "; only Linux is tested"
    yield Check("system", supported, f"{where}{remedy}")
    yield Check("python", "ok", platform.python_version())
    for name in ("medidd", *NEEDED):
        found = _version(name)
        if found is None:
            yield Check(name, "broken", "is missing; pip install medidd")
        else:
            yield Check(name, "ok", found)
    for name in CODECS:
        found = _version(name)
        remedy = f"is missing; pip install {name}"
        yield Check(name, "ok" if found else "warning", found or remedy)
    for name, extra in OPTIONAL.items():
        yield Check(name, "ok", _version(name) or f"not installed; pip install '{extra}' adds it")


_ONLY_8_BITS = "; only 8 bits, refuses 12-bit films; pip install 'medidd[codecs]' adds a decoder"


def decoders() -> Iterator[Check]:
    """Checks which transfer syntaxes can be decoded."""
    try:
        from medidd.dicom.stored.decoders import decodable
    except ImportError:
        yield Check("decoders", "broken", "pydicom cannot be loaded; pip install medidd")
        return
    for one in decodable():
        if one.available:
            limit = _ONLY_8_BITS if one.only_8_bits else ""
            yield Check(one.name, "ok", (", ".join(one.plugins) or "needs no plug-in") + limit)
        else:
            remedy = "pip install python-gdcm 'pylibjpeg[openjpeg,rle]' pyjpegls"
            yield Check(one.name, "warning", f"no plug-in, so its films are refused; {remedy}")


def machine() -> Iterator[Check]:
    """Checks the processors: the CPU, and CUDA if there is any."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("CPU", "ok", f"{usable} usable of {os.cpu_count()}; --threads sets the number")
    try:
        torch = import_module("torch")
    except Exception as error:  # a broken build can raise almost any type
        yield Check("CUDA", "broken", f"torch cannot be loaded ({type(error).__name__})")
        return
    if not torch.cuda.is_available():
        yield Check("CUDA", "ok", "none; medidd computes on the CPU")
        return
    names = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    yield Check("CUDA", "ok", f"{torch.version.cuda}: {', '.join(names)}")


def process() -> Iterator[Check]:
    """Checks what others could see of the process."""
    mask = os.umask(0o077)
    os.umask(mask)
    private = mask & 0o077 == 0o077
    yield Check(
        "umask",
        "ok" if private else "warning",
        f"{mask:03o}" if private else f"{mask:03o}: others can read new files; set umask 077",
    )
    largest, _ = resource.getrlimit(resource.RLIMIT_CORE)
    yield Check(
        "core dumps",
        "warning" if largest else "ok",
        "possible, with films in them; set ulimit -c 0" if largest else "off",
    )
    shown = bool(os.environ.get("MEDIDD_TRACEBACK"))
    yield Check(
        "tracebacks",
        "warning" if shown else "ok",
        "MEDIDD_TRACEBACK is set: they show values of patients; unset it" if shown else "off",
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
