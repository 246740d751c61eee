"""A release is refused where it would mislead: off main, with changes that are not committed, twice, or with other keys under the same format."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci/release"
KEYS = "hep_flows/expr/key.py"


def _git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def _write(folder: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    _git(folder, "add", ".")
    _git(folder, "commit", "-m", message)


def _version(number: str) -> dict[str, str]:
    return {"hep_flows/__init__.py": f'__version__ = "{number}"\n', "CHANGELOG.md": f"# Changelog\n\n## {number} (2026-01-01)\n"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    _git(tmp_path, "init", "-b", "main")
    _git(tmp_path, "config", "user.name", "A")
    _git(tmp_path, "config", "user.email", "a@b.c")
    keys = {KEYS: 'FORMAT = b"hf-expr/1"\n', "hep_flows/planning/keys.py": "FORMAT = 1\n", "tests/golden/keys.json": "{}\n"}
    _write(tmp_path, {**_version("1.0"), **keys}, "first")
    return tmp_path


def _release(folder: Path) -> tuple[int, str]:
    done = subprocess.run(["bash", str(SCRIPT)], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def _tags(folder: Path) -> list[str]:
    return _git(folder, "tag").split()


def test_a_clean_main_is_tagged_once(project):
    assert _release(project) == (0, "")
    assert _tags(project) == ["v1.0"]
    code, said = _release(project)
    assert code == 1
    assert "v1.0 is there already" in said


def test_other_keys_need_another_format(project):
    assert _release(project)[0] == 0
    _write(project, {**_version("1.1"), "tests/golden/keys.json": '{"a": 1}\n'}, "keys")
    code, said = _release(project)
    assert code == 1
    assert "no format number was raised" in said
    _write(project, {KEYS: 'FORMAT = b"hf-expr/2"\n'}, "format")
    assert _release(project)[0] == 0
    assert _tags(project) == ["v1.0", "v1.1"]


def _on_a_branch(folder: Path) -> None:
    _git(folder, "checkout", "-b", "work")


def _changed(folder: Path) -> None:
    (folder / "new.py").write_text("")


def _unreleased(folder: Path) -> None:
    _write(folder, {"CHANGELOG.md": "## 1.0 (not released)\n"}, "again")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [(_on_a_branch, "on main"), (_changed, "not committed"), (_unreleased, "not released")],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_what_would_mislead_is_refused(project, spoil, reason):
    spoil(project)
    code, said = _release(project)
    assert code == 1
    assert reason in said
    assert _tags(project) == []
