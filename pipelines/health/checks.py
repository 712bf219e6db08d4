"""What medidd doctor looks at besides folders: software, decoders, the machine, the process.

No check tells the name of a host, a user or a folder.
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

NEEDED = ("torch", "numpy", "pydicom", "monai", "scikit-learn", "safetensors")
CODECS = ("python-gdcm", "pylibjpeg", "pylibjpeg-openjpeg", "pylibjpeg-rle", "pyjpegls")
OPTIONAL = {"onnxruntime": "medidd[encoder]", "imagecodecs": "imagecodecs"}
"""Packages that only some commands or files need, and what to install for them."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what.
        state: "broken" where medidd cannot work with it.
        text: what was found, and the remedy.
    """

    name: str
    state: State
    text: str


def software() -> Iterator[Check]:
    """Checks the versions, and that the heavy packages can be loaded at all."""
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


_ONLY_8_BITS = "; only 8 bits, films of 12 are refused; pip install 'medidd[codecs]' adds a decoder"


def decoders() -> Iterator[Check]:
    """Checks which transfer syntaxes can be decoded."""
    try:
        from medidd.dicom.pixels.decoders import decodable
    except ImportError:
        yield Check("decoders", "broken", "pydicom cannot be loaded; pip install medidd")
        return
    for one in decodable():
        if one.available:
            limit = _ONLY_8_BITS if one.only_8_bits else ""
            yield Check(one.name, "ok", (", ".join(one.plugins) or "needs no plug-in") + limit)
        else:
            remedy = "pip install python-gdcm 'pylibjpeg[openjpeg,rle]' pyjpegls"
            yield Check(one.name, "warning", f"no plug-in, its films are refused; {remedy}")


def machine() -> Iterator[Check]:
    """Checks the processors: the CPU, and CUDA if there is any."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("CPU", "ok", f"{usable} usable of {os.cpu_count()}; --threads says how many")
    try:
        torch = import_module("torch")
    except Exception as error:  # a broken build raises nearly every type
        yield Check("CUDA", "broken", f"torch cannot be loaded ({type(error).__name__})")
        return
    if not torch.cuda.is_available():
        yield Check("CUDA", "ok", "none; everything is computed on the CPU")
        return
    names = [torch.cuda.get_device_name(at) for at in range(torch.cuda.device_count())]
    yield Check("CUDA", "ok", f"{torch.version.cuda}: {', '.join(names)}")


def process() -> Iterator[Check]:
    """Checks what the process would let others see."""
    mask = os.umask(0o077)
    os.umask(mask)
    private = mask & 0o077 == 0o077
    yield Check(
        "umask",
        "ok" if private else "warning",
        f"{mask:03o}" if private else f"{mask:03o}: others may read new files; set umask 077",
    )
    largest, _ = resource.getrlimit(resource.RLIMIT_CORE)
    yield Check(
        "core dumps",
        "warning" if largest else "ok",
        "may be written, with films in them; set ulimit -c 0" if largest else "off",
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
