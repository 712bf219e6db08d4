"""What a guaranteed release was worth on public films: a hint before any film is read.

Measured by ``benchmarks/guarantee.py`` with ``moments``, three images per class of 32 px, on the
paediatric chest films of Kermany et al. (CC BY 4.0), the mean of three folds. Other films, sizes
and questions give other figures; docs/guarantee.md has the table. The images were refined by DM
then; those of today are worth .01 to .03 more from 300 patients on.
"""

PATIENTS = (75, 150, 300, 600, 1200, 2350)

AUC: dict[float, tuple[tuple[float, float], ...]] = {
    1.0: ((0.71, 0.56), (0.63, 0.65), (0.87, 0.78), (0.93, 0.86), (0.94, 0.90), (0.96, 0.94)),
    2.0: ((0.69, 0.65), (0.86, 0.71), (0.91, 0.85), (0.95, 0.92), (0.96, 0.93), (0.97, 0.95)),
    3.0: ((0.74, 0.70), (0.87, 0.86), (0.94, 0.88), (0.95, 0.92), (0.97, 0.94), (0.98, 0.95)),
    10.0: ((0.87, 0.84), (0.95, 0.93), (0.96, 0.93), (0.97, 0.94), (0.98, 0.96), (0.98, 0.96)),
}
"""AUC of the method's own classifier and of a network trained on the images, by epsilon, for each
of ``PATIENTS``."""


def hint(epsilon: float, patients: int) -> str:
    """Returns what was measured with at most so many patients and so large an epsilon, in words.

    Patients are those that are learned from, without those held out.

    Empty if less was never tried: then nothing is known, and nothing should be expected.
    """
    tried = [one for one in AUC if one <= epsilon]
    counts = [count for count in PATIENTS if count <= patients]
    if not tried or not counts:
        return ""
    own, images = AUC[max(tried)][PATIENTS.index(max(counts))]
    return (
        "The nearest measurement with no more patients and epsilon, on public chest films: moments "
        f"learned from {max(counts)} patients at epsilon {max(tried):g} gave an AUC of {own:.2f} "
        f"(own classifier) and {images:.2f} (a network trained on six images)."
    )
