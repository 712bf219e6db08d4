"""Where a command computes: what this computer lacks is refused in words."""

import pytest
import torch

from medidd.machine.precision import PRECISIONS, narrow
from pipelines.cli.release_commands import distill_command
from pipelines.learning.processor import device, use
from pipelines.run.errors import Exit, Stop


def test_tf32_without_a_gpu_is_refused_before_anything_changes() -> None:
    with pytest.raises(Stop, match="--precision tf32 needs a GPU; use float32 or bfloat16") as stop:
        use(torch.device("cpu"), 2, "tf32")
    assert stop.value.code == Exit.USAGE
    assert torch.get_num_threads() == 1


def test_a_process_computes_as_it_was_told() -> None:
    use(device("cpu"), 1, "bfloat16")
    assert narrow() is torch.bfloat16
    use(device("cpu"), 1, "float32")
    assert narrow() is None


def test_the_command_line_offers_every_precision() -> None:
    option = next(one for one in distill_command.params if one.name == "precision")
    assert tuple(option.type.choices) == PRECISIONS
