"""Fewer and shorter trainings than the starts have for real films."""

import importlib

import pytest

from medidd.evaluate import Training


@pytest.fixture(autouse=True)
def _few_and_short_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    # By name, for the package's attribute of that name is the function.
    module = importlib.import_module("medidd.starts.optimized_random")
    monkeypatch.setattr(module, "SETS", 3)
    monkeypatch.setattr(module, "TRAINING", Training(steps=30))
