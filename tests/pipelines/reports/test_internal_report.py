"""The internal report says all, names nobody, and its sheet does not tell members from controls."""

import base64
import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from stat import S_IMODE
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pipelines.reports.attack_figures import curve
from pipelines.reports.internal import ATTACKS, write_internal
from pipelines.reports.reviewer import NAMED, NEAREST, VIEWED, write_sheet
from privacy import Evidence, Films, Finding, Nulls, Policy, Release, Verdict, decide, load_policy
from privacy.attacks.membership import scores, train_on_release
from privacy.attacks.nearest import copies
from privacy.attacks.same_patient import same_patient
from privacy.attacks.unmixing import shares, unmixing
from privacy.attacks.views import VIEWS, standardise
from privacy.evidence import Earlier
from privacy.gates.patients_per_image import patients_per_image
from privacy.policy import Level
from privacy.statistics.scores import Scores, clopper_pearson

FILES = {"report.html", "report.json", "reviewer.html", "reviewer-key.json"}
PAGES = ("report.html", "reviewer.html")
PICTURE = r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+"
SIDE = 16


def films(patients: int, seed: int, prefix: str) -> Films:
    """Returns a film of each patient, and a second one of every third."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand(patients, 1, 4, 4, generator=rng)
    images = F.interpolate(coarse, size=SIDE, mode="bilinear")
    again = (images[::3] + 0.02 * torch.rand(images[::3].shape, generator=rng)).clamp(0, 1)
    labels = torch.arange(patients) % 2
    ids = [f"{prefix}{number:03}" for number in range(patients)]
    return Films(torch.cat([images, again]), torch.cat([labels, labels[::3]]), ids + ids[::3])


def release(m: int, seed: int) -> Release:
    images = torch.rand(m, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    return Release(images, F.one_hot(torch.arange(m) % 2, 2).float())


def nearest_mean(learned: Release) -> Callable[[Tensor], Tensor]:
    """Trains what little can be trained: a class is where its images' mean is."""
    shares = learned.labels / learned.labels.sum(0)
    means = shares.T @ learned.images.flatten(1)
    return lambda images: (-torch.cdist(images.flatten(1), means)).log_softmax(1)


@pytest.fixture(scope="module")
def policy() -> Policy:
    names = ("G1", "A5", "A6", "A2")
    required = dict.fromkeys(Level, names)
    return load_policy().model_copy(update={"required": required, "statistical": ("A1", "A2")})


@pytest.fixture(scope="module")
def case() -> Evidence:
    """Four images, two of them members' films, one mirrored; null releases of noise."""
    members, controls = films(48, 1, "INSIDE"), films(52, 2, "OUTSIDE")
    made = release(4, 3)
    made.images[2], made.images[3] = members.images[5].flip(-1), members.images[8]
    fold_of = {one: place % 3 for place, one in enumerate((*members.ids, *controls.ids))}
    nulls = Nulls(tuple(release(4, seed) for seed in (4, 5, 6)), fold_of)
    earlier = [Earlier("export", "c0ffee" * 10 + "abcd", frozenset({*members.ids[:7], "GONE001"}))]
    return Evidence(made, members, controls, nulls, fits=[nearest_mean], earlier=earlier)


@pytest.fixture(scope="module")
def findings(case: Evidence, policy: Policy) -> list[Finding]:
    rng = torch.Generator().manual_seed(0)
    audits = (patients_per_image, copies, unmixing, train_on_release)
    return [audit(case, policy, rng) for audit in audits]


def written(
    folder: Path, case: Evidence, findings: list[Finding], policy: Policy, **more: Any
) -> dict[str, str]:
    rng = torch.Generator().manual_seed(more.pop("seed", 0))
    decision = decide(findings, policy, Level.STANDARD)
    write_internal(folder, case, findings, decision, policy, rng, **more)
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def report(
    case: Evidence,
    findings: list[Finding],
    policy: Policy,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    return written(tmp_path_factory.mktemp("house") / "audit", case, findings, policy)


def picture(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))


def plain(page: str) -> str:
    """A page without its pictures, and without the code that stands for them."""
    code = re.findall(r"sheet ([0-9A-F]{8})", page)[0]
    return re.sub(PICTURE, "", page).replace(code, "")


def pages_of(sheet: str) -> list[dict[str, str]]:
    """The pictures of each page, by the letter below them; the released image is ''."""
    found = []
    for page in sheet.split('<section class="page">')[1:]:
        released, *shown = re.findall(rf'<img alt="([^"]+)" src="({PICTURE})">', page)
        assert released[0].startswith("released image")
        found.append({"": released[1]} | {alt.removeprefix("film "): src for alt, src in shown})
    return found


def test_only_the_owner_can_read_it_even_where_others_could_before(
    case: Evidence, findings: list[Finding], policy: Policy, tmp_path: Path
) -> None:
    folder = tmp_path / "audit"
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    (folder / "report.html").write_text("older")
    (folder / "report.html").chmod(0o644)
    written(folder, case, findings, policy)
    assert {path.name for path in folder.iterdir()} == FILES
    assert S_IMODE(folder.stat().st_mode) == 0o700
    assert {S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_complete_in_itself_and_runs_nothing(report: dict[str, str], name: str) -> None:
    page = report[name]
    assert "default-src 'none'; img-src data:" in page
    assert "must not leave" in page
    assert "<script" not in page.lower()
    assert not re.search(r"\bon\w+\s*=", re.sub(PICTURE, "", page))
    assert not re.search(r"(?:https?:|//|@import|url\()", re.sub(PICTURE, "", page))
    sources = re.findall(r'(?:src|href|action)="([^"]*)"', page)
    assert len(sources) > 4
    assert all(re.fullmatch(PICTURE, source) for source in sources)


def test_the_same_seed_gives_the_same_bytes_and_another_another_sheet(
    report: dict[str, str],
    case: Evidence,
    findings: list[Finding],
    policy: Policy,
    tmp_path: Path,
) -> None:
    assert written(tmp_path / "again", case, findings, policy) == report
    other = written(tmp_path / "other", case, findings, policy, seed=1)
    assert other["reviewer.html"] != report["reviewer.html"]
    assert other["report.html"] == report["report.html"]


def test_nobody_is_named_but_in_the_key(report: dict[str, str], case: Evidence) -> None:
    for name in FILES - {"reviewer-key.json"}:
        assert not re.search(r"INSIDE|OUTSIDE|GONE", report[name]), name
    named = set(re.findall(r"(?:INSIDE|OUTSIDE)\d+", report["reviewer-key.json"]))
    assert named <= {*case.members.ids, *case.controls.ids}
    assert named


def test_exchanging_the_sides_changes_nothing_in_the_sheet_but_pictures(case: Evidence) -> None:
    exchanged = replace(case, members=case.controls, controls=case.members)
    one, other = (
        write_sheet(evidence, torch.Generator().manual_seed(5)) for evidence in (case, exchanged)
    )
    assert one[0] != other[0]
    assert plain(one[0].decode()) == plain(other[0].decode())
    for number in one[1]["images"]:
        here, there = one[1]["images"][number], other[1]["images"][number]
        assert {x["patient"] for x in here.values()} == {x["patient"] for x in there.values()}
        side = {x["patient"]: x["side"] for x in here.values()}
        assert all(x["side"] != side[x["patient"]] for x in there.values())


def test_nothing_beside_a_film_says_whose_it_is(report: dict[str, str]) -> None:
    _, *pages = plain(report["reviewer.html"]).split('<section class="page">')
    for page in pages:
        assert not re.search(r"train|member|control|inside|outside|null|<!--", page, re.IGNORECASE)
        films = re.findall(r"<figure>.*?</figure>", page, re.DOTALL)
        alike = {re.sub(r"film [A-Z]|<b>[A-Z]</b>|name=\"\d+[A-Z]\"", "", one) for one in films}
        assert len(alike) == 1


def test_the_order_of_the_films_does_not_tell_sides_apart(case: Evidence) -> None:
    many = replace(case, release=release(60, 9), nulls=None)
    _, key = write_sheet(many, torch.Generator().manual_seed(0))
    for place in (0, -1):
        sides = [list(shown.values())[place]["side"] for shown in key["images"].values()]
        assert 0.3 < sides.count("control") / len(sides) < 0.7


def test_the_key_names_the_patient_in_each_picture(report: dict[str, str], case: Evidence) -> None:
    key = json.loads(report["reviewer-key.json"])
    assert key["sheet"] in report["reviewer.html"]
    sides = {"training set": case.members, "control": case.controls}
    pages = pages_of(report["reviewer.html"])
    assert len(pages) == len(key["images"]) == len(case.release)
    for page, released, shown in zip(
        pages, case.release.images, key["images"].values(), strict=True
    ):
        assert np.abs(picture(page.pop("")) / 255 - released[0].numpy()).max() < 0.003
        assert page.keys() == shown.keys()
        for letter, one in shown.items():
            of = sides[one["side"]].of({one["patient"]}).images[:, 0].numpy()
            assert np.abs(of - picture(page[letter]) / 255).max((1, 2)).min() < 0.003


def naive(image: Tensor, films: Films, name: str) -> set[str]:
    """The nearest patients of one side, one film, flip and shift at a time."""
    distance: dict[str, float] = {}
    scale = (lambda x: x) if name == "raw" else standardise
    view = VIEWS[name]
    seen, targets = view(image[None])[0], view(films.images)
    for patient, target in zip(films.patients, targets, strict=True):
        inside = scale(target[:, 1:-1, 1:-1])
        for side, top, left in product((seen, seen.flip(-1)), range(3), range(3)):
            moved = scale(side[:, top : top + SIDE - 2, left : left + SIDE - 2])
            apart = float((moved - inside).square().sum().sqrt())
            distance[str(patient)] = min(apart, distance.get(str(patient), math.inf))
    return set(sorted(distance, key=distance.__getitem__)[:NEAREST])


def test_a_sheet_shows_the_nearest_patients_of_both_sides(
    report: dict[str, str], case: Evidence
) -> None:
    key = json.loads(report["reviewer-key.json"])["images"]
    for image, shown in zip(case.release.images, key.values(), strict=True):
        for side, films in (("training set", case.members), ("control", case.controls)):
            for view in VIEWED:
                near = [
                    x["patient"]
                    for x in shown.values()
                    if x["side"] == side and view in x["nearest in"]
                ]
                assert len(near) == NEAREST
                assert set(near) == naive(image, films, view)


def test_a_copied_patient_is_on_the_sheet(report: dict[str, str], case: Evidence) -> None:
    shown = json.loads(report["reviewer-key.json"])["images"]["3"].values()
    (found,) = [one for one in shown if one["patient"] == case.members.patients[5]]
    assert found["side"] == "training set"
    assert found["nearest in"] == [*VIEWED, NAMED]


def test_few_patients_are_all_shown(case: Evidence) -> None:
    few = replace(case, members=case.members.of(set(case.members.ids[:2])), nulls=None)
    _, key = write_sheet(few, torch.Generator().manual_seed(0))
    for shown in key["images"].values():
        inside = {one["patient"] for one in shown.values() if one["side"] == "training set"}
        assert inside == set(case.members.ids[:2])


def test_films_on_another_scale_are_shown_whole(case: Evidence) -> None:
    def scaled(films: Films) -> Films:
        return Films(films.images * 400 - 1000, films.labels, films.patients)

    made = Release(case.release.images * 400 - 1000, case.release.labels)
    other = Evidence(made, scaled(case.members), scaled(case.controls))
    sheet, _ = write_sheet(other, torch.Generator().manual_seed(0))
    for page in pages_of(sheet.decode()):
        assert all(picture(src).std() > 10 for src in page.values())


def test_every_attack_is_drawn_or_named_as_missing(
    report: dict[str, str],
    case: Evidence,
    findings: list[Finding],
    policy: Policy,
    tmp_path: Path,
) -> None:
    attacks = json.loads(report["report.json"])["attacks"]
    assert attacks.keys() == {*ATTACKS, *policy.statistical}
    assert [name for name, one in attacks.items() if "roc" in one] == ["A2"]
    assert "This attack was not made." in report["report.html"]
    for drawn in ("characteristic of A2", "members and controls in A2"):
        assert re.search(rf'alt="[^"]*{drawn}" src="data:image/svg', report["report.html"])
    without = written(tmp_path / "without", case, findings, policy, attacks={})
    assert "no score" in json.loads(without["report.json"])["attacks"]["A2"]["why"]
    with pytest.raises(ValueError, match="A99"):
        written(tmp_path / "strange", case, findings, policy, attacks={"A99": scores})


def test_a_curve_has_the_rates_of_a_naive_count() -> None:
    rng = torch.Generator().manual_seed(0)
    values = Scores(torch.randint(9, (31,), generator=rng), torch.randint(7, (24,), generator=rng))
    ordered = sorted(values.controls.tolist(), reverse=True)
    for k, point in enumerate(curve(values), start=1):
        hits = sum(score >= ordered[k - 1] for score in values.members.tolist())
        assert (point.fpr, point.tpr) == (k / 25, hits / 31)
        assert (point.low, point.high) == clopper_pearson(hits, 31)


def test_a_curve_of_many_controls_keeps_its_ends() -> None:
    rng = torch.Generator().manual_seed(0)
    values = Scores(torch.randn(50, generator=rng), torch.randn(3000, generator=rng))
    points = curve(values)
    assert 100 < len(points) <= 200
    assert (points[0].fpr, points[-1].fpr) == (1 / 3001, 3000 / 3001)


def test_a_number_that_is_none_is_shown_as_such(
    case: Evidence, findings: list[Finding], policy: Policy, tmp_path: Path
) -> None:
    bad = Finding("A3", "Distance", Verdict.INVALID, *[math.nan] * 3, math.inf, "No number.")
    nested = replace(findings[0], details={"deep": [{"value": math.nan, "whole": 3}]})
    report = written(tmp_path / "audit", case, [nested, *findings[1:], bad], policy)
    row = report["report.html"].partition("<td>A3</td>")[2].partition("</tr>")[0]
    assert row.count("no number") == 4
    assert "nan" not in re.sub(PICTURE, "", report["report.html"]).lower().split()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    plain = json.loads(report["report.json"], parse_constant=refuse)
    assert plain["findings"][0]["details"]["deep"] == [{"value": None, "whole": 3}]
    assert plain["attacks"]["A3"]["why"].startswith("This attack is not valid")
    assert plain["verdict"] == "INVALID"


def test_all_of_the_policy_and_of_the_ledger_is_printed(
    report: dict[str, str], case: Evidence, policy: Policy
) -> None:
    page, plain = report["report.html"], json.loads(report["report.json"])
    assert plain["policy"] == policy.model_dump(mode="json")
    for name in plain["policy"]:
        assert f"<dt>{name}</dt>" in page
    (earlier,) = plain["ledger"]
    assert (earlier["patients"], earlier["members now"], earlier["controls now"]) == (8, 7, 0)
    assert case.earlier
    assert case.earlier[0].release[:16] in page
    assert {"torch", "numpy", "python"} <= plain["environment"].keys()
    assert plain["power"]["members"] == 48


def test_mixtures_are_drawn_where_they_were_looked_for(
    report: dict[str, str],
    case: Evidence,
    findings: list[Finding],
    policy: Policy,
    tmp_path: Path,
) -> None:
    mixed = json.loads(report["report.json"])["unmixing"]
    assert mixed["largest shares"] == shares(case).top.tolist()
    assert mixed["largest shares"][3][0] > 0.99
    assert 'alt="shares of patients in each released image" src="data:' in report["report.html"]
    without = [finding for finding in findings if finding.audit != "A6"]
    report = written(tmp_path / "audit", case, without, policy)
    assert "(A6) was not made" in json.loads(report["report.json"])["unmixing"]["why"]
    assert "shares of patients" not in report["report.html"]


def test_subgroups_have_a_table_where_they_were_looked_for(
    report: dict[str, str],
    case: Evidence,
    findings: list[Finding],
    policy: Policy,
    tmp_path: Path,
) -> None:
    row = {
        "group": "class 0",
        "in words": "class normal",
        "members": 21,
        "controls": 22,
        "auc": 0.5,
        "low": 0.4,
        "high": 0.6,
    }
    more = Finding.exact(
        "A7", "Groups", Verdict.PASS, "No.", value=0.5, limit=0.65, details={"groups": [row]}
    )
    assert "(A7) was not made" in report["report.html"]
    report = written(tmp_path / "audit", case, [*findings, more], policy)
    assert json.loads(report["report.json"])["groups"] == [row]
    assert "<td>class normal</td>" in report["report.html"]


def test_an_audit_that_could_not_look_is_not_shown_as_passed(
    case: Evidence, findings: list[Finding], policy: Policy, tmp_path: Path
) -> None:
    blind = same_patient(case, policy, torch.Generator())
    assert blind.verdict is Verdict.PASS
    report = written(tmp_path / "audit", case, [*findings, blind], policy)
    row = report["report.html"].partition("<td>A5c</td>")[2].partition("</tr>")[0]
    assert "not assessable" in row
    assert ">PASS<" not in row
    missing = json.loads(report["report.json"])["not tested"]
    assert "A5c" in [one["audit"] for one in missing]


def test_an_encoder_adds_those_whom_it_takes_for_alike(case: Evidence) -> None:
    """One that sees only the middle of a film, whatever its contrast."""

    def encoder(images: Tensor) -> Tensor:
        return images[:, :, 4:12, 4:12].flatten(1)

    sheet, key = write_sheet(replace(case, encoder=encoder), torch.Generator().manual_seed(0))
    middle = encoder(case.everybody.images).mean(0)
    for number, shown in enumerate(key["images"].values()):
        here = encoder(case.release.images[number][None])[0] - middle
        for side, films in (("training set", case.members), ("control", case.controls)):
            alike: dict[str, float] = {}
            for patient, there in zip(films.patients, encoder(films.images) - middle, strict=True):
                cosine = float(here @ there / here.norm() / there.norm())
                alike[str(patient)] = max(cosine, alike.get(str(patient), -1.0))
            wanted = set(sorted(alike, key=alike.__getitem__, reverse=True)[:NEAREST])
            found = [
                one["patient"]
                for one in shown.values()
                if one["side"] == side and "encoder" in one["nearest in"]
            ]
            assert set(found) == wanted
    assert "encoder" not in sheet.decode()
