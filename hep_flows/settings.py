"""What the user sets once, outside the analysis: read here, passed down, never global.

From weak to strong: the defaults, ``~/.config/hep_flows/config.toml``, the table ``[tool.hep_flows]`` of the nearest
``pyproject.toml`` above the current folder, environment variables (the name with ``HEP_FLOWS_`` in front), and what is given in a
call. This is the only module that reads the environment. It stays within the standard library: a stored result is to be there before
a large library could be loaded.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hep_flows.errors import HepFlowsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from hep_flows.errors import Where

PREFIX = "HEP_FLOWS_"
_OFF = {"off", "none", "no", "0", "false"}
_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


def regular_file(path: str | os.PathLike[str]) -> FileIO:
    """Open a file to read: a pipe or a device in its place would keep the process waiting for ever.

    Raises
    ------
    OSError
        When it is none, or cannot be opened.
    """
    file = FileIO(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    return file


def environment() -> dict[str, str]:
    """Give a copy of the environment: for processes that are started, and for the settings of other packages."""
    return dict(os.environ)


@contextmanager
def environment_with(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment while the block runs: processes that it starts see them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def default_cache() -> Path:
    """Give the cache folder of the operating system's convention: ``$XDG_CACHE_HOME/hep_flows``, else ``~/.cache/hep_flows``."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base else Path.home() / ".cache") / "hep_flows"


def default_memory() -> int:
    """Give half of the memory of the machine, or of the container that the process is in."""
    known = [8 * 10**9]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        known = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max" where there is no limit
            known.append(int(Path(file).read_text(encoding="ascii")))
    return min(known) // 2


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one run; they never change after they are read.

    Parameters
    ----------
    cache : Path, optional
        The folder of stored results; None (``HEP_FLOWS_CACHE=off``) when nothing is stored.
    cache_layers : tuple of Path
        Folders of others that are read where the own one has nothing, ``HEP_FLOWS_CACHE_LAYERS=/team/cache:/other``.
    cache_limit : int, optional
        How many bytes the results may have, ``HEP_FLOWS_CACHE_LIMIT=20GB``; runs that store more, and ``hep-flows cache gc``, remove what was
        not used for longest. No limit when None.
    workers : int
        Threads that run partitions at the same time.
    memory : int
        How many bytes a process may take, ``HEP_FLOWS_MEMORY=4GB``; half of what the machine or its container has where nobody sets it.
        Events that need more are worked on in smaller slices and by fewer threads. No result depends on it.
    chunk_events : int, optional
        At most so many events of a range are worked on at a time; as many as there is memory for when None. No result depends on it.
    engine : str
        Who runs what is not stored: ``embedded`` (a Prefect server of the process), ``configured`` (the Prefect of the user's profile) or
        ``inline`` (no Prefect). Where nobody sets it, small work is done inline.
    direct_below : int
        How many bytes of the columns that are needed, in local files, count as small work, ``HEP_FLOWS_DIRECT_BELOW=500MB``; 0 where nothing does.
    fileset_limit : int
        How many bytes a fileset may have as text, ``HEP_FLOWS_FILESET_LIMIT=1GB``.
    request_s : int
        So many seconds a server of remote files may send nothing, before it counts as down.
    plugins : tuple of str
        The plug-ins that may be used, ``HEP_FLOWS_PLUGINS=awkward,hist``; empty means all that are installed.
    compiled : str
        Whether loops are compiled, where numba is installed: ``auto`` where it pays, ``always``, ``never``. No result depends on it.
    pure_modules : tuple of str
        Libraries whose functions give the same for the same arguments, ``HEP_FLOWS_PURE_MODULES=particle``: what users' functions compute
        with them is stored, under a key that has their version.
    """

    cache: Path | None = field(default_factory=default_cache)
    cache_layers: tuple[Path, ...] = ()
    cache_limit: int | None = None
    workers: int = field(default_factory=lambda: min(os.cpu_count() or 1, 8))
    memory: int = field(default_factory=default_memory)
    chunk_events: int | None = None
    engine: str = "embedded"
    direct_below: int = 500_000_000
    fileset_limit: int = 512_000_000
    request_s: int = 60
    plugins: tuple[str, ...] = ()
    compiled: str = "auto"
    pure_modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, and where it comes from."""

    name: str
    value: Any
    source: str


def read_settings(**given: object) -> Settings:
    """Give the settings: what is given here, else the environment, else the files, else the defaults.

    Raises
    ------
    HepFlowsError
        When a value has the wrong form, or a file sets something that does not exist; it names the setting.
    """
    return Settings(**{s.name: s.value for s in explained_settings(None, **given)})


def explained_settings(where: Where = None, /, **given: object) -> tuple[Setting, ...]:
    """Give every setting with where it comes from; the arguments are those of `read_settings`, and the user's line."""
    defaults = Settings()
    found = {f.name: Setting(f.name, getattr(defaults, f.name), "default") for f in fields(Settings)}
    for source, values in (*_files(), ("", _environment(found)), ("argument", given)):
        for name, value in values.items():
            if name not in found:
                raise _unknown(name, source, tuple(found))
            origin = source or f"environment variable {PREFIX}{name.upper()}"
            found[name] = Setting(name, _checked(name, value, origin, where), origin)
    return tuple(found.values())


def _environment(names: Mapping[str, object]) -> dict[str, str]:
    return {n: os.environ[v] for n in names if os.environ.get(v := PREFIX + n.upper())}


def _files() -> list[tuple[str, Mapping[str, object]]]:
    home = os.environ.get("XDG_CONFIG_HOME", "")
    user = (Path(home) if home else Path.home() / ".config") / "hep_flows" / "config.toml"
    found: list[tuple[str, Mapping[str, object]]] = []
    if user.is_file():
        found.append((str(user), _toml(user)))
    project = next((p for folder in _folders() if (p := folder / "pyproject.toml").is_file()), None)
    if project is not None and b"[tool.hep_flows" in project.read_bytes():  # most files have no such table, and need not be parsed
        tool = _toml(project).get("tool", {})
        table = tool.get("hep_flows", {}) if isinstance(tool, dict) else {}
        found.append((f"{project}, [tool.hep_flows]", {k: _from(project, k, v) for k, v in table.items()}))
    return found


def _folders() -> tuple[Path, ...]:
    try:
        here = Path.cwd()
    except OSError:  # the current folder was removed
        return ()
    return (here, *here.parents)


def _from(file: Path, name: str, value: object) -> object:
    """Give a path in a project's file as one that is relative to the file."""
    if name == "cache" and isinstance(value, str) and value.lower() not in _OFF:
        return str(file.parent / Path(value).expanduser())
    return value


def _toml(file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise HepFlowsError(f"the settings in {file} cannot be read", why=str(error), do="repair the file, or remove it") from None


def _checked(name: str, value: object, source: str, where: Where) -> object:
    try:
        return _READ[name](value)
    except (ValueError, TypeError, OverflowError) as error:
        why = "it is a whole number" if str(error).startswith("invalid literal for int()") else str(error)
        argument = f"{name}={_EXAMPLES[name]!r}"
        given = source == "argument"
        do = (
            f"write {argument}"
            if given
            else f"write {PREFIX}{name.upper()}={_EXAMPLES[name]}"
            if source.startswith("environ")
            else ""
        )
        raise HepFlowsError(
            f"the setting {name!r} has no usable value: {value!r}",
            where=where if given else None,
            why=f"{why} ({source})",
            do=(do or f"write {name} = {json.dumps(_EXAMPLES[name])} there") + ", or leave it out",
        ) from None


def _folder_or_off(value: object) -> Path | None:
    if value is None or value is False or (isinstance(value, str) and value.strip().lower() in _OFF):
        return None
    if not isinstance(value, str | os.PathLike):
        raise TypeError("it is the path of a folder, or off")
    return _local(value)


def _local(value: str | os.PathLike[str]) -> Path:
    if is_address(value):
        raise ValueError("it is a folder on a disk of this machine, not an address")
    return Path(value).expanduser()


def is_address(place: object) -> bool:
    """Say whether a place is on another machine, ``s3://bucket``: a folder ``s3:`` here is not what anybody means by that."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", os.fspath(place) if isinstance(place, str | os.PathLike) else "") is not None


def _folders_of(value: object) -> tuple[Path, ...]:
    if is_address(value):
        raise ValueError("it is a folder on a disk of this machine, not an address")
    parts = value.split(os.pathsep) if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise TypeError("it is a list of folders")
    return tuple([_local(p) for p in parts if p])


def _size(value: object) -> int | None:
    if value is None or type(value) is int:
        if value is not None and value < 0:
            raise ValueError("it is a number of bytes")
        return value
    if not isinstance(value, str):
        raise TypeError("it is a number of bytes, such as 20GB")
    text = value.strip().lower()
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    unit = text[len(digits) :].strip()
    if unit not in _UNITS:
        raise ValueError(f"{unit!r} is no unit; there are {', '.join([u for u in _UNITS if u])}")
    number = int(float(digits) * _UNITS[unit])
    if number < 0:
        raise ValueError("it is a number of bytes")
    return number


def _bytes(value: object) -> int:
    return _size(value) or 0


def _some_bytes(value: object) -> int:
    number = _size(value)
    if not number:
        raise ValueError("it is a number of bytes, such as 4GB")
    return number


def _one_of(*names: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"it is one of {', '.join(names)}")
        return value

    return read


def _number(most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise TypeError("it is a whole number")
        number = int(value)
        if not 1 <= number <= most:
            raise ValueError(f"it lies between 1 and {most:,}")
        return number

    return read


def _names(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not all(isinstance(p, str) for p in parts):
        raise TypeError("it is a list of names")
    return tuple([p.strip() for p in parts if p.strip()])


_EXAMPLES: Mapping[str, Any] = {
    "cache": "off",
    "cache_layers": "/team/cache",
    "cache_limit": "20GB",
    "workers": 4,
    "chunk_events": 200_000,
    "engine": "inline",
    "direct_below": "500MB",
    "fileset_limit": "1GB",
    "request_s": 60,
    "plugins": "awkward,hist",
    "compiled": "never",
}
_READ: Mapping[str, Callable[[Any], object]] = {
    "cache": _folder_or_off,
    "cache_layers": _folders_of,
    "cache_limit": _size,
    "workers": _number(1024),
    "memory": _some_bytes,
    "chunk_events": lambda value: None if value is None else _number(10**12)(value),
    "engine": _one_of("embedded", "configured", "inline"),
    "direct_below": _bytes,
    "fileset_limit": _bytes,
    "request_s": _number(86_400),
    "plugins": _names,
    "compiled": _one_of("auto", "always", "never"),
    "pure_modules": _names,
}


def _unknown(name: str, source: str, known: tuple[str, ...]) -> HepFlowsError:
    from hep_flows.errors import did_you_mean

    return HepFlowsError(
        f"there is no setting {name!r}",
        why=f"it stands in: {source}",
        do=did_you_mean(name, known) or f"there are: {', '.join(known)}",
    )
