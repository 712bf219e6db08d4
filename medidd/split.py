"""Which patients are members and which are held out, decided per patient by a coin.

The held-out patients are the controls of the audits. They are also the test set, if the cohort has
no test patients of its own. ``assign`` holds out the same share of every class; ``tossed`` decides
about each patient alone, as a guarantee needs. The coin is a keyed hash: anybody with the key can
repeat it, and nobody else can guess it, even with the seed.
"""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

Role = Literal["member", "control", "test"]

CONTROLS = 150
"""Desired number of held-out patients; with these the audits can judge the ROC curve's tail."""

LARGEST_SHARE = 0.4
"""Largest share of a cohort that is held out, except for rounding within small classes."""


def share_of(patients: int) -> float:
    """Returns the share that is held out of so many patients."""
    return min(CONTROLS / max(patients, 1), LARGEST_SHARE)


def tossed(
    patients: Sequence[str], splits: Sequence[str], *, key: bytes, seed: int, share: float
) -> Mapping[str, Role]:
    """Gives every patient a role by a coin of the patient's own, for runs with a guarantee.

    ``assign`` draws by rank, so one more patient moves others between members and controls. The
    mechanism would see several patients change, and the guarantee would hold for several times
    epsilon. Here nobody's role depends on anybody else.

    Args:
        patients: the patient of each film, (n,).
        splits: "train", "val", "test" or '' for none, (n,); "test" patients are set aside.
        key: the installation's secret.
        seed: the run's seed.
        share: probability of being held out; a public number, never one of the cohort's.
    """
    roles: dict[str, Role] = {}
    for patient, split in zip(patients, splits, strict=True):
        if split == "test":
            roles[patient] = "test"
        elif patient not in roles:
            held = int.from_bytes(_coin(key, seed, patient)[:8]) < share * 2**64
            roles[patient] = "control" if held else "member"
    return dict(sorted(roles.items()))


def assign(
    patients: Sequence[str],
    labels: Sequence[int],
    splits: Sequence[str],
    *,
    key: bytes,
    seed: int,
) -> Mapping[str, Role]:
    """Gives every patient a role.

    Within each class the same share of patients is held out, drawn without replacement. So members
    and controls of a class are exchangeable, as the permutation tests need. A patient with films of
    several classes counts in the lowest class.

    Args:
        patients: the patient of each film, (n,).
        labels: the class of each film, (n,).
        splits: "train", "val", "test" or '' for none, (n,); "test" patients are set aside, and
            stay outside the audits because no coin drew them.
        key: the installation's secret.
        seed: the run's seed.

    Raises:
        ValueError: a class has a single patient to draw from.
    """
    stratum: dict[str, int] = {}
    roles: dict[str, Role] = {}
    for patient, label, split in zip(patients, labels, splits, strict=True):
        if split == "test":
            roles[patient] = "test"
        else:
            stratum[patient] = min(label, stratum.get(patient, label))
    pools = defaultdict(list)
    for patient, label in stratum.items():
        pools[label].append(patient)
    share = share_of(len(stratum))
    for label, pool in pools.items():
        if len(pool) < 2:
            raise ValueError(
                f"class number {label} has a single patient, and one must be learned from and one "
                "held out; add patients or leave the class out"
            )
        held = min(max(round(share * len(pool)), 1), len(pool) - 1)
        drawn = sorted(pool, key=lambda patient: _coin(key, seed, patient))
        roles |= {patient: "control" if i < held else "member" for i, patient in enumerate(drawn)}
    return dict(sorted(roles.items()))


def _coin(key: bytes, seed: int, patient: str) -> bytes:
    return hmac.new(key, f"held out|{seed}|{patient}".encode(), hashlib.sha256).digest()
