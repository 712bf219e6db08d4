"""Check sums are signed by a key that nobody has to be asked for, and verified by OpenSSH."""

import base64
import getpass
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from invented_cohort import called, files_of, tree

from pipelines.bundle.checksums import SIGNATURE, SUMS
from pipelines.bundle.signature import NAMESPACE, sign
from pipelines.run import ledger
from pipelines.run.errors import Stop
from pipelines.run.store import Run

pytestmark = pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="OpenSSH is not installed")

WHO = "research@hospital.example"
Key = Callable[..., Path]


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """Makes a key of a name, with a passphrase if one is given."""

    def made(name: str = "key", passphrase: str = "") -> Path:
        path = tmp_path / "keys" / name
        path.parent.mkdir(exist_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-C", "ada@workstation-7"]
        subprocess.run([*command, "-N", passphrase, "-f", path], check=True)
        return path

    return made


def allowed(key: Path, *options: str, who: str = WHO) -> Path:
    """A list of signers that has this key."""
    path = key.with_name(f"{key.name}.allowed")
    kind, public, _ = key.with_name(f"{key.name}.pub").read_text().split()
    path.write_text(" ".join((who, *options, kind, public)) + "\n")
    return path


@pytest.fixture
def signed(sent: Path, key: Key, tmp_path: Path) -> tuple[Path, Path]:
    """A signed bundle that a test may spoil, and its key."""
    bundle = Path(shutil.copytree(sent, tmp_path / "bundle"))
    own = key()
    (bundle / SIGNATURE).write_bytes(sign((bundle / SUMS).read_bytes(), own))
    return bundle, own


def test_who_signed_is_named(signed: tuple[Path, Path]) -> None:
    bundle, key = signed
    ended = called("verify", bundle, "--signers", allowed(key))
    assert (ended.code, ended.err) == (0, "")
    assert f"signed by {WHO}" in ended.out
    said = json.loads(called("verify", bundle, "--signers", allowed(key), "--json").out)
    assert (said["signed"], said["signer"]) == (True, WHO)


def test_a_signature_that_nobody_asked_for_is_not_taken_on_trust(
    signed: tuple[Path, Path],
) -> None:
    ended = called("verify", signed[0])
    assert ended.code == 0
    assert "signature: not checked" in ended.out
    said = json.loads(called("verify", signed[0], "--json").out)
    assert (said["signed"], said["signer"]) == (None, None)
    (signed[0] / SIGNATURE).write_bytes(b"")
    assert json.loads(called("verify", signed[0], "--json").out)["signed"] is False
    assert "--signers needs one" in called("verify", signed[0], "--signers", allowed(signed[1])).err


def test_the_ssh_keygen_of_the_card_agrees(signed: tuple[Path, Path]) -> None:
    bundle, key = signed
    subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-n", NAMESPACE, "-f", allowed(key)]  # noqa: RUF005
        + ["-I", WHO, "-s", bundle / SIGNATURE],
        input=(bundle / SUMS).read_bytes(),
        check=True,
    )


@pytest.mark.parametrize("who", ["*@hospital.example", "a@x.example,b@x.example"])
def test_signers_may_be_patterns_and_lists(who: str, signed: tuple[Path, Path]) -> None:
    bundle, key = signed
    assert called("verify", bundle, "--signers", allowed(key, who=who)).code == 0


def test_another_key_another_purpose_and_another_time_do_not_count(
    signed: tuple[Path, Path], key: Key
) -> None:
    bundle, own = signed
    other = key("other")
    lists = [
        allowed(other),
        allowed(own, 'namespaces="git"'),
        allowed(own, 'valid-before="20200101"'),
        own,  # no list at all
    ]
    for signers in lists:
        ended = called("verify", bundle, "--signers", signers)
        assert (ended.code, ended.out) == (5, "")
        assert ended.err.count("\n") == 1
    fine = allowed(own, f'namespaces="{NAMESPACE}"')
    assert called("verify", bundle, "--signers", fine).code == 0


def test_check_sums_of_other_files_are_not_those_that_were_signed(
    signed: tuple[Path, Path], sent: Path, key: Key
) -> None:
    bundle, own = signed
    (bundle / "previews" / "class0_0.png").unlink()
    lines = (bundle / SUMS).read_text().splitlines(keepends=True)
    (bundle / SUMS).write_text("".join(line for line in lines if "class0_0" not in line))
    for name, of in (("manifest.json", "files"), ("audit.json", "audited")):
        said = json.loads((bundle / name).read_text())
        del said[of]["previews/class0_0.png"]
        (bundle / name).write_text(json.dumps(said))
    ended = called("verify", bundle, "--signers", allowed(own))
    assert ended.code == 5
    whole = Path(shutil.copytree(sent, bundle.with_name("whole")))
    for signature in (sign(b"", own), b"x", sign((whole / SUMS).read_bytes(), key("b"))):
        (whole / SIGNATURE).write_bytes(signature)
        ended = called("verify", whole, "--signers", allowed(own))
        assert (ended.code, ended.err.count("\n")) == (5, 1)
        assert "not the signature of this SHA256SUMS" in ended.err


def test_a_signature_that_is_asked_for_and_missing_is_refused(
    signed: tuple[Path, Path],
) -> None:
    bundle, key = signed
    (bundle / SIGNATURE).unlink()
    ended = called("verify", bundle, "--signers", allowed(key))
    assert ended.code == 5
    assert "no signature" in ended.err


def test_a_signature_names_neither_user_nor_host(signed: tuple[Path, Path]) -> None:
    """PROTOCOL.sshsig: magic, version, public key, namespace, reserved, hash, signature."""
    armored = (signed[0] / SIGNATURE).read_text().split("\n")
    assert (armored[0], armored[-2:]) == (
        "-----BEGIN SSH SIGNATURE-----",
        ["-----END SSH SIGNATURE-----", ""],
    )
    data = base64.b64decode("".join(armored[1:-2]))
    public = base64.b64decode(signed[1].with_name("key.pub").read_text().split()[1])
    fields, at = [], 10
    assert data[:at] == b"SSHSIG\x00\x00\x00\x01"
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        fields.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    assert (at, len(fields)) == (len(data), 5)
    assert fields[:4] == [public, NAMESPACE.encode(), b"", b"sha512"]
    assert len(fields[4]) == len(b"\0\0\0\x0bssh-ed25519\0\0\0\x40") + 64
    for word in ("ada", "workstation", getpass.getuser(), platform.node()):
        assert word.encode() not in public + fields[3] + b"".join(fields[1:3])


def test_a_key_with_a_passphrase_is_refused_and_not_waited_for(
    key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is a program asked that would answer."""
    answer = tmp_path / "answer"
    answer.write_text("#!/bin/sh\necho secret\n")
    answer.chmod(0o755)
    monkeypatch.setenv("SSH_ASKPASS", str(answer))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    monkeypatch.setenv("DISPLAY", ":0")
    with pytest.raises(Stop, match="passphrase"):
        sign(b"secret\n", key(passphrase="secret"))


def test_a_public_key_signs_by_an_agent_alone(
    key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = key()
    public = own.with_name("key.pub")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody"))
    own.rename(tmp_path / "elsewhere")
    with pytest.raises(Stop, match="cannot sign"):
        sign(b"x", public)
    assert sign(b"x", tmp_path / "elsewhere").startswith(b"-----BEGIN")


@pytest.mark.skipif(not shutil.which("ssh-agent"), reason="OpenSSH has no agent here")
def test_a_key_with_a_passphrase_signs_if_an_agent_holds_it(
    key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, answer = key(passphrase="secret"), tmp_path / "answer"
    answer.write_text("#!/bin/sh\necho secret\n")
    answer.chmod(0o755)
    asked = {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
    with TemporaryDirectory() as short:  # the path of a socket has at most 107 letters
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{short}/agent")
        start = ["ssh-agent", "-D", "-a", f"{short}/agent"]
        with subprocess.Popen(start, stdout=subprocess.PIPE) as agent:
            try:
                assert agent.stdout is not None
                agent.stdout.readline()  # now it listens
                subprocess.run(["ssh-add", "-q", locked], env=os.environ | asked, check=True)
                made = [sign(b"x", half) for half in (locked, locked.with_name("key.pub"))]
            finally:
                agent.terminate()
    assert all(one.startswith(b"-----BEGIN") for one in made)
    with pytest.raises(Stop, match="ssh-agent holds"):
        sign(b"x", locked)


def test_a_signed_export_is_whole_and_the_same_again(
    passing: Run, key: Key, tmp_path: Path
) -> None:
    own = key()
    for name in ("one", "two"):
        ended = called("export", passing.path, "--to", tmp_path / name, "--sign", own)
        assert ended.code == 0, ended.err
        assert SIGNATURE in files_of(tmp_path / name)
        ended = called("verify", tmp_path / name, "--signers", allowed(own))
        assert ended.code == 0, ended.err
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert str(own).encode() not in b"".join(data for _, data in tree(tmp_path / "one"))


def test_a_key_that_cannot_sign_stops_an_export_at_once(
    passing: Run, key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "note.txt"
    note.write_text("no key")
    before = ledger.entries()
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    for bad in (key("locked", "secret"), key("spare").with_name("spare.pub"), note):
        bad.chmod(0o600)
        (tmp_path / "keys" / "spare").unlink(missing_ok=True)
        ended = called("export", passing.path, "--to", tmp_path / "bundle", "--sign", bad)
        assert (ended.code, ended.err.count("\n")) == (2, 1)
        assert "cannot sign" in ended.err
    ended = called("export", passing.path, "--to", tmp_path / "bundle", "--sign", tmp_path / "no")
    assert ended.code == 2
    assert not (tmp_path / "bundle").exists()
    assert ledger.entries() == before


def test_without_openssh_it_is_said_what_is_missing(
    passing: Run, signed: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, key = signed
    signers = allowed(key)
    monkeypatch.setenv("PATH", str(tmp_path))
    for command in (
        ("export", passing.path, "--to", tmp_path / "new", "--sign", key),
        ("verify", bundle, "--signers", signers),
    ):
        ended = called(*command)
        assert ended.code == 2
        assert "install OpenSSH" in ended.err
    assert not (tmp_path / "new").exists()
    assert os.path.lexists(bundle / SIGNATURE)
    assert called("verify", bundle).code == 0
