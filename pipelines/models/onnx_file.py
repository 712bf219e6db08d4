"""A model as ONNX, which programs without torch can run, checked against the networks.

Input ``films``: display values in [0, 1], float32, (n, 1, H, W), for any n. Output
``probabilities``: (n, K), the mean over the networks.
"""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

import numpy as np
import torch
from torch.export import Dim

from pipelines.models.model import Model
from pipelines.run.errors import Exit, Stop

CLOSE = 1e-4
"""Greatest difference in a probability between ONNX Runtime and torch."""

_TRIED = 8  # films of noise


def onnx_of(model: Model) -> bytes:
    """Returns the file.

    Raises:
        Stop: ONNX Runtime computes something else from it.
    """
    module = model.module().eval()
    films = torch.rand(2, 1, model.size, model.size, generator=torch.Generator().manual_seed(0))
    with _quiet():
        program = torch.onnx.export(
            module,
            (films,),
            dynamo=True,
            verbose=False,
            external_data=False,
            input_names=["films"],
            output_names=["probabilities"],
            dynamic_shapes={"films": {0: Dim("n")}},
        )
    assert program is not None
    data = program.model_proto.SerializeToString()
    away = _difference(data, model)
    if not away <= CLOSE:
        raise Stop(
            f"--network {model.network}: as ONNX it differs from torch by {away:.1g}, so the model "
            "was not written; use another network, or other versions of torch and onnxscript",
            Exit.BROKEN,
        )
    return bytes(data)


def _difference(data: bytes, model: Model) -> float:
    """Returns the greatest difference of a probability over films of noise."""
    import onnxruntime

    films = torch.rand(
        _TRIED, 1, model.size, model.size, generator=torch.Generator().manual_seed(1)
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"films": films.numpy()})
    return float(np.abs(found - model.probabilities(films).numpy()).max())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the exporter, which tells its steps to the terminal."""
    was = logging.root.manager.disable
    logging.disable()
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(was)
