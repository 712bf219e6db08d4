"""The methods, oldest paper first; each is a frozen dataclass in the file of its name."""

from medidd.methods.dm import DM
from medidd.methods.soft_label import SoftLabel

METHODS = {"soft-label": SoftLabel, "dm": DM}
"""Every method by the name it has on the command line."""
