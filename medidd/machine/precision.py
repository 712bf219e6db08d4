"""In what precision the ConvNet convolves, set for a whole process as torch sets its threads."""

import torch

PRECISIONS = ("float32", "tf32", "bfloat16")
"""float32 rounds to 23 binary digits. tf32 keeps 10 of what a convolution multiplies, on a GPU.
bfloat16 keeps 7, and of what it returns, too; it pays where a processor multiplies such numbers by
itself: a GPU, or a CPU with AMX. Sums, norms, losses and updates stay in float32 always, and so do
convolutions of few channels on a CPU, which bfloat16 makes no faster."""

_narrow: torch.dtype | None = None


def convolve_in(precision: str) -> None:
    """Sets the precision of all convolutions that follow, in this process.

    Args:
        precision: one of ``PRECISIONS``.

    Raises:
        ValueError: there is no such precision.
    """
    global _narrow
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision}")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    _narrow = torch.bfloat16 if precision == "bfloat16" else None


def narrow() -> torch.dtype | None:
    """Returns the type that convolutions take and return, if it is not their tensors' own."""
    return _narrow
