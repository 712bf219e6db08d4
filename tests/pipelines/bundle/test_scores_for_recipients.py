"""score.py of a bundle: films of a recipient's own, their probabilities and the AUC."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from medidd.scores.films import score, weighted_auc
from pipelines.run.release_file import Release

FACTS: dict[str, Any] = {
    "method": "kip",
    "fields": {"ridge": 1e-6},
    "ingredients": {"kernel": "fc"},
    "classes": ["clear", "dull"],
    "normalization": {"mean": 0.5, "std": 0.25, "levels": 255},
    "training": {
        "steps": 3,
        "batch": 256,
        "lr": 0.01,
        "momentum": 0.9,
        "weight_decay": 0.0,
        "augment": [],
        "noise": 0.0,
        "averaged": 0.0,
        "networks": 2,
        "width": 4,
    },
}
NAMES = ["a/1.dcm", "a/2.dcm", "b, c.dcm", "ü.dcm"]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def films(n: int = 4, size: int = 16) -> Tensor:
    return torch.rand(n, 1, size, size, generator=seeded(1)) * 4 - 2


def written(path: Path, held: Tensor, names: object = NAMES) -> Path:
    save_file({"films": held}, path, {"names": json.dumps(names)})
    return path


@dataclass(frozen=True)
class Ended:
    """How a program ended, with what it said."""

    code: object
    out: str


@pytest.fixture
def bundle(code: SimpleNamespace, tmp_path: Path) -> Iterator[Path]:
    """Tensors beside the code, and a folder with somebody's films and labels."""
    levels = (torch.rand(2, 1, 16, 16, generator=seeded()) * 255).to(torch.uint8)
    code.train.RELEASE.write_bytes(Release(levels, torch.eye(2), FACTS).to_bytes())
    written(tmp_path / "films.safetensors", films())
    rows = [
        "file,label,age",
        "a/1.dcm,dull,3",
        "a/2.dcm,clear,",
        '"b, c.dcm",dull,4',
        "ü.dcm,clear,",
    ]
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "other.dcm,dull,"]), encoding="utf-8")
    yield tmp_path
    code.train.RELEASE.unlink()


@pytest.fixture
def ran(
    code: SimpleNamespace,
    bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Ended]:
    """Runs a program in the folder of the films."""

    def run(program: str, *options: str) -> Ended:
        monkeypatch.chdir(bundle)
        monkeypatch.setattr("sys.argv", [f"{program}.py", *options])
        ended: object = 0
        try:
            code.score.run(getattr(code, program).main)
        except SystemExit as end:
            ended = end.code
        return Ended(ended, capsys.readouterr().out)

    return run


@pytest.mark.parametrize("program", ["train", "own"])
def test_films_get_a_table_of_probabilities_and_an_auc(
    code: SimpleNamespace, bundle: Path, ran: Callable[..., Ended], program: str
) -> None:
    options = ["--films", "films.safetensors", "--labels", "labels.csv", "--seed", "2"]
    ended = ran(program, *options)
    assert ended.code == 0
    with (bundle / "probabilities.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "clear", "dull"]
    assert [row[0] for row in rows] == NAMES
    if program == "train":
        networks = code.train.trained(2)
        wanted = code.train.predict(networks, films())
        kept = torch.load(bundle / "networks.pt", weights_only=True)
        torch.testing.assert_close(kept, [network.state_dict() for network in networks])
    else:
        wanted = code.own.classifier(2)(films())
    found = torch.tensor([[float(one) for one in row[1:]] for row in rows])
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    area = weighted_auc(wanted[:, 1].numpy(), np.array([True, False] * 2), np.ones((1, 4)))[0]
    assert ended.out.splitlines() == ["probabilities.csv: 4 films", f"AUC {area:.3f}"]


def test_patches_vote_about_their_films(
    code: SimpleNamespace, bundle: Path, ran: Callable[..., Ended]
) -> None:
    """Names are in the order of the films, and patches need not be."""
    levels = (torch.rand(3, 1, 16, 16, generator=seeded()) * 255).to(torch.uint8)
    cut = FACTS | {"classes": ["beside", "clear", "dull"], "film classes": ["clear", "dull"]}
    code.train.RELEASE.write_bytes(Release(levels, torch.eye(3), cut).to_bytes())
    film, patches = torch.arange(40) % 4, films(40)
    path = bundle / "films.safetensors"
    save_file({"films": patches, "film": film}, path, {"names": json.dumps(NAMES)})
    options = ["--films", "films.safetensors", "--labels", "labels.csv", "--seed", "2"]
    said = code.own.classifier(2)(patches).argmax(1)
    shares = []
    for number in range(4):
        votes = [one for one in said[film == number].tolist() if one > 0]
        assert 0 < len(votes) < 10
        shares.append(votes.count(2) / len(votes))
    at = sorted(shares)[2]  # exactly there, a film is not positive
    ended = ran("own", *options, "--threshold", str(at))
    with (bundle / "probabilities.csv").open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    assert header == ["file", "clear", "dull", "class"]
    assert [row[0] for row in rows] == NAMES
    assert [float(row[2]) for row in rows] == pytest.approx(shares, abs=1e-6)
    assert [row[3] for row in rows] == ["dull" if share > at else "clear" for share in shares]
    area = weighted_auc(np.array(shares), np.array([True, False] * 2), np.ones((1, 4)))[0]
    assert ended.out.splitlines() == ["probabilities.csv: 4 films", f"AUC {area:.3f}"]

    votes = code.score.votes(torch.eye(3)[[0, 0, 1, 2, 2]], torch.tensor([0, 0, 1, 1, 1]), [1, 2])
    torch.testing.assert_close(votes, torch.tensor([[3, 0], [1, 2]]).double() / 3)
    for of, names, fault in (
        (None, NAMES * 10, "holds whole films, but the images are of patches"),
        (film.clamp(max=2), NAMES, "40 patches and 4 names"),
        (film[:-1].clone(), NAMES, "40 patches and 4 names"),
    ):
        more = {} if of is None else {"film": of}
        save_file({"films": patches} | more, path, {"names": json.dumps(names)})
        assert fault in str(ran("own", *options).code)


def test_patches_are_not_taken_for_films(bundle: Path, ran: Callable[..., Ended]) -> None:
    path = bundle / "films.safetensors"
    held = {"films": films(), "film": torch.zeros(4, dtype=torch.int64)}
    save_file(held, path, {"names": json.dumps(["a"])})
    assert "holds patches, but the images are of whole films" in str(
        ran("own", "--films", "films.safetensors").code
    )
    written(path, films())
    ended = ran("own", "--films", "films.safetensors", "--threshold", "0.3")
    assert "--threshold is for films that are cut" in str(ended.code)


def test_without_labels_there_is_a_table_alone(bundle: Path, ran: Callable[..., Ended]) -> None:
    ended = ran("own", "--films", "films.safetensors", "--probabilities", "mine.csv")
    assert ended == Ended(0, "mine.csv: 4 films\n")
    assert (bundle / "mine.csv").exists()
    assert not (bundle / "networks.pt").exists()


def test_without_films_train_py_keeps_its_networks(bundle: Path, ran: Callable[..., Ended]) -> None:
    assert ran("train", "--network", "mlp", "--to", "mlp.pt") == Ended(0, "")
    kept = torch.load(bundle / "mlp.pt", weights_only=True)
    assert [len(one) for one in kept] == [6, 6]
    assert not (bundle / "probabilities.csv").exists()


@pytest.mark.parametrize(
    ("program", "options", "said"),
    [
        ("own", ["--films", "none.safetensors"], "none.safetensors"),
        ("train", ["--labels", "labels.csv"], "--labels are of films: name them with --films"),
        ("train", ["--films", "labels.csv"], "labels.csv: holds no 'films'"),
        ("own", ["--films", "films.safetensors", "--labels", "films.safetensors"], "not a table"),
    ],
)
def test_what_is_wrong_is_one_line(
    bundle: Path, ran: Callable[..., Ended], program: str, options: list[str], said: str
) -> None:
    ended = ran(program, *options)
    assert isinstance(ended.code, str)
    assert said in ended.code
    assert len(ended.code.splitlines()) == 1
    assert not (bundle / "networks.pt").exists()


def test_a_training_that_diverges_is_one_line(
    code: SimpleNamespace, bundle: Path, ran: Callable[..., Ended]
) -> None:
    """As labels that are no probabilities can make it."""
    levels = (torch.rand(2, 1, 16, 16, generator=seeded()) * 255).to(torch.uint8)
    labels = torch.tensor([[-9.0, 10.0], [10.0, -9.0]])
    how = FACTS["training"] | {"lr": 1e6, "steps": 9}
    code.train.RELEASE.write_bytes(Release(levels, labels, FACTS | {"training": how}).to_bytes())
    ended = ran("train", "--films", "films.safetensors")
    assert ended.code == "the training came to no numbers; try another --seed, or own.py"
    assert not (bundle / "probabilities.csv").exists()


FILMS = {
    "display values": (
        (films() + 2) / 4,
        NAMES,
        "not standardised: values from .* between -2 and 2",
    ),
    "levels": (((films() + 2) * 63).to(torch.uint8), NAMES, "not standardised"),
    "not numbers": (films() * float("nan"), NAMES, "not standardised: values from nan"),
    "another size": (films(size=32), NAMES, "films of 1 x 32 x 32, but the images are 1 x 16 x 16"),
    "no channel": (films()[:, 0], NAMES, "films of 16 x 16, but the images are 1 x 16 x 16"),
    "none": (films(0), [], "0 films and 0 names"),
    "too few names": (films(), NAMES[1:], "4 films and 3 names"),
    "no names": (films(), None, "holds no 'films' with their 'names'"),
}


@pytest.mark.parametrize("fault", FILMS)
def test_films_that_cannot_be_scored_are_refused(
    code: SimpleNamespace, bundle: Path, fault: str
) -> None:
    held, names, said = FILMS[fault]
    path = written(bundle / "films.safetensors", held.contiguous(), names)
    data = code.loader.SyntheticImages(code.train.RELEASE)
    with pytest.raises(ValueError, match=said) as caught:
        code.score.read_films(path, data)
    assert str(caught.value).endswith("make it with prepare.py")


LABELS = {
    "no table": (b"", "needs the columns file and label"),
    "other columns": (b"name,label\na/1.dcm,dull\n", "needs the columns file and label"),
    "no row": (
        b"file,label\na/1.dcm,dull\n",
        "no row for 3 of 4 films; add them, each file by its path",
    ),
    "unknown label": (
        b"file,label\na/1.dcm,dull\na/2.dcm,fog\n",
        "row 2: the label is none of clear",
    ),
    "no label": (b"file,label\na/1.dcm\n", "row 1: the label is none of clear"),
    "two labels": (
        b"file,label\na/1.dcm,dull\na/1.dcm,clear\n",
        "row 2: the file has another label",
    ),
    "not UTF-8": (b"file,label\n\xfc.dcm,dull\n", "save it as CSV in UTF-8"),
}


@pytest.mark.parametrize("fault", LABELS)
def test_labels_that_do_not_fit_are_refused(
    code: SimpleNamespace, tmp_path: Path, fault: str
) -> None:
    text, said = LABELS[fault]
    (tmp_path / "labels.csv").write_bytes(text)
    with pytest.raises(ValueError, match=said) as caught:
        code.score.read_labels(tmp_path / "labels.csv", NAMES, FACTS["classes"])
    assert "fog" not in str(caught.value)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_auc_is_medidds_with_ties(code: SimpleNamespace, classes: int) -> None:
    coarse = torch.rand(60, classes, generator=seeded()).mul(5).round() / 5
    labels = torch.randint(classes, (60,), generator=seeded(1))
    patients = np.arange(60).astype(str)
    wanted = score([coarse], labels, patients, seed=0, replicates=2)["auc"].mean
    assert len(coarse[:, 1].unique()) < 10
    assert code.score.auc(coarse, labels) == pytest.approx(wanted, abs=1e-12)


def test_there_is_no_auc_of_a_single_class(code: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="the films must be of every class"):
        code.score.auc(torch.rand(4, 2), torch.ones(4))
