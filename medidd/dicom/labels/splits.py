"""The official splits of published data sets, in the spellings that these use."""

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
"""What a split is called, and which of train, val and test it is."""


def split_of(name: str) -> str:
    """Returns "train", "val" or "test", or '' where the name is none of ``SPLITS``."""
    return SPLITS.get(name.strip().lower(), "")
