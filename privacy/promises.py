"""What a guarantee of differential privacy says to people, and where it ends.

The card and the report for outsiders show these texts. No text here may claim more than the
mechanism in ``privacy/dp`` gives.
"""

from collections.abc import Mapping
from typing import Any

Json = Any

PROMISE = (
    "The images and labels have a guarantee of differential privacy: whether or not any one "
    "patient was in the training set, with all of the patient's films, changes how likely they "
    "are by no more than epsilon and delta say. This holds against any attacker, with any "
    "knowledge and any computing power, now and later."
)

NEIGHBOURS = "two training sets that differ by one patient, added or removed"

WHERE = {
    "images and labels, previews, DICOM files": "covered by the guarantee",
    "names and number of classes, size, images per class, method, its fields, seed, versions": (
        "chosen by the sender without looking at films, or known to everybody"
    ),
    "number of patients": "a round number that the sender declared; it was never counted",
    "utility of classifiers, baselines, losses, counts of films, figures of the audits": (
        "not covered, so they are not in the bundle; they stay with the sender"
    ),
    "whether there is a bundle at all": (
        "not covered: the sender may have refused to release, because of films or audits"
    ),
}
"""Everything of a run that can leave, and how the guarantee stands to it."""

ASSUMPTIONS = (
    "the patient of each film is known: two numbers of one person count as two patients, and no "
    "other patient's films decide whose film it is or whether it is used;",
    "where the unit is a study or an image, no patient has two of them;",
    "the random numbers of the sender's operating system are secret and uniform;",
    "the sender knew the names of the classes before looking at these films;",
    "the account of budgets is complete: no other installation made releases of these patients;",
    "numbers of a computer have finite precision: the noise is drawn in a way that hides its "
    "rounding, but this is not a proof for the last bits.",
)
"""What the guarantee rests on."""


def rows(guarantee: Mapping[str, Json]) -> dict[str, str]:
    """Returns a guarantee as a table for people: what, and its value.

    Args:
        guarantee: as a release states it.
    """
    asked = guarantee["releases"]
    reach = guarantee["an attacker reaches at most"]
    return {
        "epsilon": f"{guarantee['epsilon']:g} ({guarantee['in words']})",
        "delta": f"{guarantee['delta']:g}",
        "unit": f"one {guarantee['unit']}, with all films",
        "compared": NEIGHBOURS,
        "mechanism": "Gaussian noise on clipped sums, one vector per patient",
        "noise": f"sigma {guarantee['sigma']:.4g} times the clip",
        "clip": f"{guarantee['clip']:.4g}, over all that one release returns",
        "sampling": guarantee["sampling"],
        "releases": f"{asked}, each drawn once",
        "mu": f"{guarantee['mu']:.3f} (Gaussian differential privacy)",
        "an attacker's AUC": f"at most {reach['AUC']:.2f}",
        "caught at 1 % false alarms": f"at most {reach['rate at 1 %']:.1%}",
        "caught at 5 % false alarms": f"at most {reach['rate at 5 %']:.1%}",
        "patients": f"about {guarantee['patients']}, as declared",
    }
