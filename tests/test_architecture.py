"""Who may import whom, and how a file looks."""

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("medidd", "privacy", "pipelines")
MODULES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
every_module = pytest.mark.parametrize(
    "module", MODULES, ids=[str(path.relative_to(ROOT)) for path in MODULES]
)

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError("not installed here: " + name, name=name)

sys.meta_path.insert(0, Missing())
"""


def python(code: str) -> str:
    """Returns what a fresh interpreter prints."""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def without(*missing: str) -> str:
    """Code after which these packages cannot be imported."""
    return WITHOUT.format(missing=missing)


LINT = """
from importlinter.cli import lint_imports_command
lint_imports_command(["--no-cache"], standalone_mode=True)
"""

UPWARDS = {
    "privacy/finding.py": "import medidd.data",
    "pipelines/run/seeds.py": "from pipelines.learning import recipe",
    "medidd/network.py": "from medidd import evaluate",
    "medidd/dicom/header/terms.py": "from medidd.dicom.pixels import lut",
    "privacy/gates/layers.py": "from privacy.attacks import nearest",
}
"""An import that its contract forbids, in the order of the contracts."""

ROOMLESS = ("pipelines", "medidd", "medidd/dicom", "privacy")
"""Where a file must be named in a contract."""


def test_the_import_contracts_are_kept() -> None:
    assert "Contracts: 5 kept, 0 broken." in python(LINT)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The packages and their contracts, for a test to spoil."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def linted(folder: Path) -> str:
    """What import-linter says of the packages in a folder."""
    ran = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path.insert(0, '.')" + LINT],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode, "a broken contract must fail"
    return ran.stdout


def test_an_import_upwards_breaks_its_contract(copy: Path) -> None:
    for path, line in UPWARDS.items():
        with (copy / path).open("a") as file:
            file.write(f"\n{line}\n")
    said = linted(copy)
    assert "Contracts: 0 kept, 5 broken." in said
    for path in UPWARDS:
        assert path.removesuffix(".py").replace("/", ".") + " -> " in said


def test_a_file_without_a_room_breaks_its_contract(copy: Path) -> None:
    for package in ROOMLESS:
        (copy / package / "stray.py").write_text('"""Belongs nowhere."""\n')
    said = linted(copy)
    for package in ROOMLESS:
        assert package.replace("/", ".") in said
    assert said.count("stray") == len(ROOMLESS)


PLANS = ("docs/architecture.md", "CONTRIBUTING.md")


@pytest.mark.parametrize("page", PLANS)
def test_every_path_that_the_plan_names_is_there(page: str) -> None:
    text = (ROOT / page).read_text()
    named = re.findall(r"`((?:medidd|privacy|pipelines|tests|docs|benchmarks)/[\w/.]+)`", text)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_plan_has_every_room() -> None:
    text = (ROOT / PLANS[0]).read_text()
    rooms = {path.parent.relative_to(ROOT) for path in MODULES if path.stem == "__init__"}
    rooms -= {Path(package) for package in PACKAGES}
    assert len(rooms) > 15
    assert [room for room in rooms if not re.search(rf"(\*\*|`){room.name}(\*\*|`)", text)] == []


def test_no_room_is_crowded() -> None:
    rooms = Counter(path.parent.relative_to(ROOT).as_posix() for path in MODULES)
    assert {room: count for room, count in rooms.items() if count > 16} == {}


def test_methods_need_torch_alone() -> None:
    others = (
        *("click", "gdcm", "jinja2", "matplotlib", "monai", "opacus", "PIL", "pipelines"),
        *("platformdirs", "privacy", "pydantic", "pydicom", "rich", "rich_click", "safetensors"),
        *("scipy", "sklearn", "torchvision", "yaml"),
    )
    said = python(
        without(*others)
        + "from medidd.methods import METHODS\n"
        + "from medidd.fields import fields, make\n"
        + "from medidd.architectures import convnet\n"
        + "from medidd.features import LowFrequencies\n"
        + "from medidd.kernels import FCKernel\n"
        + "print(*METHODS)\n"
        + "print([name for name in sys.modules if name.startswith('medidd.')])\n"
        + "given = {'network': convnet(2, 1, 16, width=2), 'kernel': FCKernel(), 'experts': None,\n"
        + "  'features': LowFrequencies(), 'denoiser': None}\n"
        + "for kind in METHODS.values():\n"
        + "    make(kind, {name: of for name, of in given.items() if name in fields(kind)})\n"
    )
    names, modules = said.splitlines()
    assert "soft-label" in names
    assert "medidd.methods" in modules
    assert "medidd.starts" not in modules
    assert "medidd.dicom" not in modules


@pytest.mark.parametrize(
    ("package", "others"),
    [("medidd", {"privacy", "pipelines"}), ("privacy", {"medidd", "pipelines"})],
)
def test_no_file_of_a_package_names_the_others(package: str, others: set[str]) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) > 5
    assert [path.name for path in files if imported(path) & others] == []


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("argument", ["--help", "distill --help"])
def test_help_is_there_without_loading_anything_heavy(argument: str) -> None:
    said = python(
        "import sys\n"
        "from pipelines.cli.main import main\n"
        f"sys.argv[1:] = {argument.split()!r}\n"
        "try:\n"
        "    main()\n"
        "except SystemExit as left:\n"
        "    assert not left.code\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    *text, loaded = said.strip().splitlines()
    assert "Usage" in "\n".join(text)
    heavy = {"torch", "monai", "numpy", "scipy", "sklearn", "pydicom", "opacus", "matplotlib"}
    assert not heavy & set(loaded.split())


@every_module
def test_every_module_says_what_it_is_for(module: Path) -> None:
    said = ast.get_docstring(ast.parse(module.read_text()))
    assert said is not None
    assert said.splitlines()[0].strip()


@every_module
def test_no_file_is_named_after_nothing_or_longer_than_300_lines(module: Path) -> None:
    assert not {"util", "utils", "misc", "helpers", "helper", "common"} & {
        *module.stem.split("_"),
        *module.relative_to(ROOT).parent.parts,
    }
    assert len(module.read_text().splitlines()) <= 300


def test_the_table_of_modules_is_not_empty() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in MODULES} == set(PACKAGES)
