"""The gates that read files, on every file of a real bundle as it would leave."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from invented_cohort import Made

from pipelines.bundle.checksums import hashes
from pipelines.bundle.contents import contents, decode, own_words
from pipelines.bundle.declared import declared
from pipelines.commands.audit import identifier_of
from pipelines.learning.opened_run import open_run
from pipelines.run.store import Run
from privacy import Audit, Evidence, Finding, Policy, Verdict, load_policy
from privacy.gates.contents import contents as only_a_release
from privacy.gates.leaks import SHORTEST, leaks
from privacy.gates.precision import precision

Gate = Callable[..., Finding]

NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def gate(made: Made) -> Gate:
    """Returns what judges the bundle of a finished run, with some of its files changed."""
    run = Run(made.path)
    opened = open_run(run)
    patients, may = opened.patients, declared(opened)
    files = contents(run)
    policy: Policy = load_policy()
    known = identifier_of(patients)

    def judged(audit: Audit, changed: dict[str, bytes], named: frozenset[str] = NOBODY) -> Finding:
        outgoing = files | changed
        case = Evidence(
            release=decode(files),
            members=patients.members,
            controls=patients.controls,
            outgoing=outgoing,
            manifest=hashes(outgoing),
            decode=decode,
            is_identifier=lambda token: token in named or known(token),
            own=own_words(may, decode(files)),
            declared=may,
        )
        return audit(case, policy, torch.Generator().manual_seed(0))

    return judged


@pytest.mark.parametrize("audit", [only_a_release, leaks, precision])
def test_a_bundle_passes(audit: Audit, gate: Gate) -> None:
    finding = gate(audit, {})
    assert finding.verdict is Verdict.PASS, (finding.text, finding.details)


def test_a_patients_film_among_the_previews_fails(made: Made, gate: Gate) -> None:
    own = {path.name: path.read_bytes() for path in Path(made.path / "previews").iterdir()}
    first, second = sorted(own)[:2]
    assert gate(only_a_release, {f"previews/{first}": own[first]}).verdict is Verdict.PASS
    # A picture of the release, but not the one that the description has under this name.
    assert gate(only_a_release, {f"previews/{first}": own[second]}).verdict is Verdict.FAIL
    other = own[first][:-12] + b"\0\0\0\x04prVtfilm" + b"\0" * 4 + own[first][-12:]
    assert gate(only_a_release, {f"previews/{first}": other}).verdict is Verdict.FAIL
    assert gate(only_a_release, {"film.dcm": b"x"}).verdict is Verdict.FAIL


def test_a_patient_with_the_number_of_a_byte_is_not_found_where_a_tensor_begins(
    made: Made, gate: Gate
) -> None:
    data = Run(made.path).release.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    ends = {str(end) for name in ("images", "labels") for end in header[name]["data_offsets"]}
    numbers = frozenset(end for end in ends if len(end) >= SHORTEST)
    assert numbers
    assert gate(leaks, {}, numbers).verdict is Verdict.PASS
    note = f"film of {min(numbers)}5"
    assert gate(leaks, {"README.md": note.encode()}, numbers | {note[8:]}).verdict is Verdict.FAIL
