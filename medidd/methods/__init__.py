"""The methods, oldest paper first; each is a frozen dataclass in the file of its name."""

from medidd.methods.dc import DC
from medidd.methods.dd import DD
from medidd.methods.dm import DM
from medidd.methods.dsa import DSA
from medidd.methods.idc import IDC
from medidd.methods.soft_label import SoftLabel

METHODS = {"dd": DD, "soft-label": SoftLabel, "dc": DC, "dsa": DSA, "dm": DM, "idc": IDC}
"""Every method by the name it has on the command line."""
