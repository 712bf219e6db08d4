"""Who is a member of T and who is held out, decided by patient and by coin.

The held-out patients are the controls of the audits and, where a cohort brings no test patients of
its own, the test set. The coin is a keyed hash: it can be repeated by whoever holds the key and
guessed by nobody else, not even by one who knows the seed.
"""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

Role = Literal["member", "control", "test"]

CONTROLS = 150
"""Held-out patients aimed at: with these the audits can judge the tail of the ROC curve."""

LARGEST_SHARE = 0.4
"""The most of a cohort that is held out, but for rounding within small classes."""


def assign(
    patients: Sequence[str],
    labels: Sequence[int],
    splits: Sequence[str],
    *,
    key: bytes,
    seed: int,
) -> Mapping[str, Role]:
    """Gives every patient a role.

    Within each class the same share of patients is held out, drawn without replacement, so that
    members and controls of a class are exchangeable, which is what the permutation tests need. A
    patient with films of several classes counts in the lowest.

    Args:
        patients: whose film it is, (n,).
        labels: its class, (n,).
        splits: "train", "val", "test" or '' for none, (n,); "test" patients are set aside, and
            stay outside the audits because nobody drew them by a coin.
        key: secret of the installation.
        seed: of the run.

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
    share = min(CONTROLS / max(len(stratum), 1), LARGEST_SHARE)
    for label, pool in pools.items():
        if len(pool) < 2:
            raise ValueError(
                f"class number {label} has a single patient to learn from and to hold out; "
                "add patients or leave the class out"
            )
        held = min(max(round(share * len(pool)), 1), len(pool) - 1)
        drawn = sorted(pool, key=lambda patient: _coin(key, seed, patient))
        roles |= {patient: "control" if i < held else "member" for i, patient in enumerate(drawn)}
    return dict(sorted(roles.items()))


def _coin(key: bytes, seed: int, patient: str) -> bytes:
    return hmac.new(key, f"held out|{seed}|{patient}".encode(), hashlib.sha256).digest()
