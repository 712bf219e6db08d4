"""A network that tells people apart, from a file that the user names.

ONNX describes a network as data. Reading such a file runs no code of the person who made it. This
is not true of PyTorch's own formats (``torch.export.load`` unpickles).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipelines.run.errors import Exit, Stop

_REMEDY = (
    "export it with torch.onnx.export(..., external_data=False), for any number of films, and "
    "include every change of size and contrast that it needs"
)


@dataclass(frozen=True, eq=False)
class Encoder:
    """Turns films into vectors; films of one person have similar vectors.

    Attributes:
        path: the file.
        sha256: of its bytes, in hex.
    """

    path: Path
    sha256: str
    _session: Any

    def __call__(self, films: Tensor) -> Tensor:
        """Returns one vector for each film, (n, D), on the films' device.

        Args:
            films: (n, C, H, W), display values in [0, 1].

        Raises:
            Stop: the network does not accept such films, or returns no vectors.
        """
        given = films.detach().cpu().float().numpy()
        try:
            (found,) = self._session.run(None, {self._session.get_inputs()[0].name: given})
        except Exception as error:  # the runtime's errors have no other common base
            why = " ".join(str(error).split())[:200]
            raise Stop(
                f"{self.path}: does not accept films of shape {given.shape} ({why}); {_REMEDY}",
                Exit.USAGE,
            ) from None
        vectors = torch.as_tensor(found, device=films.device).flatten(1)
        if len(vectors) != len(films) or not vectors.isfinite().all():
            raise Stop(
                f"{self.path}: must return one finite vector per film, not shape "
                f"{tuple(found.shape)} for {len(films)}; {_REMEDY}",
                Exit.USAGE,
            )
        return vectors


def read_encoder(path: Path | None, shape: Sequence[int]) -> Encoder | None:
    """Opens the network and tries it before hours of work depend on it; None if none is named.

    Args:
        path: the file.
        shape: of a film, (C, H, W).

    Raises:
        Stop: the file is not ONNX with one input and one output, or does not accept such
            films.
    """
    if path is None:
        return None
    import onnxruntime

    try:
        data = path.read_bytes()
    except OSError as error:
        raise Stop(f"{path}: {error.strerror}; name a file that you can read", Exit.USAGE) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # the error is reported once, below
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception:  # the runtime's errors have no other common base
        raise Stop(f"{path}: is not a network in ONNX; {_REMEDY}", Exit.USAGE) from None
    if (len(session.get_inputs()), len(session.get_outputs())) != (1, 1):
        raise Stop(f"{path}: must have one input and one output; {_REMEDY}", Exit.USAGE)
    encoder = Encoder(path, hashlib.sha256(data).hexdigest(), session)
    for films in (1, 3):
        encoder(torch.zeros(films, *shape))
    return encoder
