"""The code of a bundle, imported as a recipient does: from a folder that has nothing of medidd."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest

from pipelines.bundle.programs import PROGRAMS, program


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The modules of a bundle by their names."""
    folder = tmp_path_factory.mktemp("code")
    for name in PROGRAMS:
        (folder / name).write_bytes(program(name))
    names = [name.removesuffix(".py") for name in PROGRAMS]
    assert not {*names} & {*sys.modules}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        found: dict[str, ModuleType] = {name: importlib.import_module(name) for name in names}
        yield SimpleNamespace(**found)
        for name in names:
            sys.modules.pop(name, None)
