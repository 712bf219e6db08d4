"""The official splits of published data sets, in the spellings that the data sets use."""

SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validate": "val",
    "validation": "val",
    "dev": "val",
    "development": "val",
    "test": "test",
    "testing": "test",
}
"""Names of splits, and which of train, val and test each is."""


def split_of(name: str) -> str:
    """Returns "train", "val" or "test", or '' if the name is none of ``SPLITS``."""
    return SPLITS.get(name.strip().lower(), "")
