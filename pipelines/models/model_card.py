"""The card of a model: what it was trained on, how it is used, and what is known of privacy.

No text here may claim more than the bundles' own guarantees and audits give.
"""

from collections.abc import Mapping, Sequence

from medidd.dicom.patches import Patches
from pipelines.models.model import Model
from pipelines.reports.pages import environment
from pipelines.run.store import Json

OWN = (
    "This model also learned from films of your own. No guarantee and no audit of a bundle covers "
    "them, and a network can keep what it was trained on. Treat the model like these films: medidd "
    "cannot say that it may leave your house."
)

ONLY_BUNDLES = (
    "This model saw nothing of the senders' patients but the released images. Whoever has the "
    "bundles can compute it, so it tells no more about these patients than the bundles do."
)

GUARANTEED = (
    "Each sender's guarantee of differential privacy holds for the model, too (post-processing): "
    "about the patients of that sender, with the epsilon of that bundle. A patient of two senders "
    "is in two releases, and their epsilons add up."
)


def privacy(bundles: Sequence[Json], *, own: bool) -> list[str]:
    """Returns what is known of a model's privacy, as paragraphs.

    Args:
        bundles: what the model says of each.
        own: whether it also learned from the recipient's own films.
    """
    if own:
        return [OWN]
    promised = [one for one in bundles if one["guarantee"] is not None]
    if not promised:
        return [ONLY_BUNDLES]
    if len(promised) < len(bundles):
        some = f"{len(promised)} of the {len(bundles)} bundles have a guarantee. "
        return [ONLY_BUNDLES, some + GUARANTEED]
    return [ONLY_BUNDLES, GUARANTEED]


def cutting(cut: Patches, size: int) -> str:
    """Returns how films are cut, for people.

    Args:
        cut: how.
        size: height and width of a resampled patch, in pixels.
    """
    return (
        f"films are framed to {cut.frame} x {cut.frame} pixels and cut into {cut.per_film} "
        f"patches of {cut.size} x {cut.size}, one every {cut.stride} pixels, each resampled to "
        f"{size} x {size}"
    )


def card(model: Model) -> str:
    """Returns the card, as Markdown."""
    cut = model.reading.patches
    about: Mapping[str, Json] = model.about
    return (
        environment()
        .get_template("model_card.md")
        .render(
            model=model,
            about=about,
            reading=model.reading.to_json(),
            cutting="" if cut is None else cutting(cut, model.size),
            privacy=privacy(about["bundles"], own=about["own films"] is not None),
        )
    )
