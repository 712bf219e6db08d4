"""What counts as an identifier of the cohort in what would leave."""

import numpy as np
import pytest

from medidd.dicom.folder.cohort import Cohort
from medidd.dicom.header.identifiers import keyed, tokens_of_identifiers
from pipelines.commands.audit import identifier_of
from pipelines.run.installation import key
from pipelines.run.patients import Patients


@pytest.fixture
def patients() -> Patients:
    known = tokens_of_identifiers(["HOSP-0996", "NOWAK^EWA MARIA", "1.2.826.0.1.3680043.99"])
    cohort = Cohort(
        images=np.zeros((1, 16, 16), np.uint16),
        labels=np.zeros(1, np.int64),
        classes=("a", "b"),
        patients=np.array(["p"]),
        splits=np.array([""]),
        refused={},
        tokens=frozenset(keyed(key(), token) for token in known),
    )
    return Patients(cohort, {"p": "member"})


@pytest.mark.parametrize("token", ["0996", "HOSP-0996", "hosp-0996", "Nowak", "img_0996.png"])
def test_an_identifier_is_known_in_any_dress(patients: Patients, token: str) -> None:
    assert identifier_of(patients)(token)


@pytest.mark.parametrize(
    "token", ["0.996", "-0.996", "10.996", "09961", "normal", "0.0996", "1.5e-0996"]
)
def test_a_number_that_looks_like_one_is_none(patients: Patients, token: str) -> None:
    assert not identifier_of(patients)(token)
