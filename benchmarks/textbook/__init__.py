"""Every method's outer step as its paper writes it: simple, slow, and what the methods must equal.

A textbook form takes what a method takes, with the same draws from the same generator, and yields
the loss and the gradients of each step. It loops over classes, gives a network the whole batch at
once, and differentiates an inner loop as one graph. Its network is its own (plain.py), or MONAI's
U-Net. It shares with medidd what is no computation of a method: the methods' fields, initial
weights, experts, what is drawn for an image, and the augmentations.
"""

from collections.abc import Callable, Iterator

import torch

from benchmarks.textbook.averages import class_mean, moments
from benchmarks.textbook.denoising import minimax
from benchmarks.textbook.matching import dc, dm, dsa, idc
from benchmarks.textbook.plain import Films, Outcome
from benchmarks.textbook.regression import frepo, kip, label_solve, rfad
from benchmarks.textbook.unrolled import dd, mtt, soft_label, tesla
from medidd.data import SyntheticSet
from medidd.distill import Method
from medidd.methods import METHODS

__all__ = ["TEXTBOOK", "Films", "Outcome", "outcomes"]

Form = Callable[..., Iterator[Outcome]]

TEXTBOOK: dict[str, Form] = {
    "class-mean": class_mean,
    "dd": dd,
    "soft-label": soft_label,
    "dc": dc,
    "kip": kip,
    "label-solve": label_solve,
    "dsa": dsa,
    "dm": dm,
    "mtt": mtt,
    "idc": idc,
    "frepo": frepo,
    "rfad": rfad,
    "tesla": tesla,
    "minimax": minimax,
    "moments": moments,
}
"""The textbook form of each method, by the method's name."""


def outcomes(
    method: Method, synthetic: SyntheticSet, films: Films, rng: torch.Generator
) -> Iterator[Outcome]:
    """Yields what is found at each step along one path; between two the caller steps S.

    Args:
        method: any of ``METHODS``.
        synthetic: S.
        films: T.
        rng: draws all that is drawn, in the order in which the method does.
    """
    (name,) = (name for name, kind in METHODS.items() if type(method) is kind)
    return TEXTBOOK[name](method, synthetic, films, rng)
