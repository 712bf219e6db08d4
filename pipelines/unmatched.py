"""Films and labels that did not find each other: counted, and never kept from the user."""

from collections.abc import Mapping


def unmatched(refused: Mapping[str, int], unknown_keys: int) -> str:
    """Returns what did not find its other half, in words; '' where everything did.

    Args:
        refused: files left out, by reason code.
        unknown_keys: keys in the table of labels that no film has.
    """
    counts = {
        "films have no label": refused.get("label_missing", 0),
        "films have several labels": refused.get("label_unmapped", 0),
        "keys of the table of labels find no usable film": unknown_keys,
    }
    return ", ".join(f"{count} {what}" for what, count in counts.items() if count)


def notes(refused: Mapping[str, int], unknown_keys: int) -> list[str]:
    """Returns the same as a line of a summary, if there is anything to say."""
    said = unmatched(refused, unknown_keys)
    return [f"note: {said}"] if said else []
