"""The methods, oldest paper first; each is a frozen dataclass in the file of its name."""

from typing import Any

from medidd.methods.class_mean import ClassMean
from medidd.methods.dc import DC
from medidd.methods.dd import DD
from medidd.methods.dm import DM
from medidd.methods.dsa import DSA
from medidd.methods.frepo import FRePo
from medidd.methods.idc import IDC
from medidd.methods.kip import KIP
from medidd.methods.label_solve import LabelSolve
from medidd.methods.minimax import Minimax
from medidd.methods.moments import Moments
from medidd.methods.mtt import MTT
from medidd.methods.rfad import RFAD
from medidd.methods.soft_label import SoftLabel
from medidd.methods.tesla import TESLA

METHODS: dict[str, type[Any]] = {
    "class-mean": ClassMean,
    "dd": DD,
    "soft-label": SoftLabel,
    "dc": DC,
    "kip": KIP,
    "label-solve": LabelSolve,
    "dsa": DSA,
    "dm": DM,
    "mtt": MTT,
    "idc": IDC,
    "frepo": FRePo,
    "rfad": RFAD,
    "tesla": TESLA,
    "minimax": Minimax,
    "moments": Moments,
}
"""Every method by the name it has on the command line."""
