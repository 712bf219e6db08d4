"""One cohort for all audits."""

import pytest
import torch
from invented_radiographs import cohort

from privacy import Films, Policy, load_policy


@pytest.fixture(scope="session")
def policy() -> Policy:
    return load_policy()


@pytest.fixture(scope="session")
def members() -> Films:
    return cohort(120, torch.Generator().manual_seed(2), "IN", extra=30)


@pytest.fixture(scope="session")
def controls() -> Films:
    return cohort(130, torch.Generator().manual_seed(3), "OUT", extra=30)
