"""The datasets of a fileset, whatever it is: a mapping, a JSON or YAML file, a folder, a pattern, a data file."""

from __future__ import annotations

import glob
import gzip
import json
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError, field_validator, model_validator
from pydantic_core import PydanticCustomError

from hep_flows.errors import HepFlowsError, SourceError, bad_files, did_you_mean, with_article
from hep_flows.expr.text import shown
from hep_flows.settings import PREFIX, regular_file
from hep_flows.sources.kinds import endings, kind_named, source_of
from hep_flows.sources.known_files import KnownFiles, guessed_kind
from hep_flows.sources.paths import DATASETS, LOCAL, Asked, collections_named, dataset_name, files_of, missing_tree_named

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hep_flows.execute.results import Results
    from hep_flows.expr.nodes import Collections, Dataset

# One dataset of a fileset, as it was written -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AtServer:
    """How ServiceX reads a dataset: the arguments of `hep_flows.servicex_table`, empty where nothing is said."""

    like: str = ""
    endpoint: str = ""
    dialect: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """The files of a dataset, and what is said about them.

    Parameters
    ----------
    name : str
        The name of the dataset.
    files : tuple of str
        Paths, patterns or URLs, in order; ``file.root:tree`` too.
    tree : str
        The tree that all of them are read from; empty where nothing is said.
    kind : str
        The kind of table that was asked for; empty where nothing is said.
    metadata : mapping
        What else is said.
    events : mapping
        By file, how many events it was said to have.
    missing_tree : str
        What a file without the tree means: ``empty`` (no events) or ``error``; empty where nothing is said.
    collections : tuple
        The leaves of each collection that is named by its leaves.
    server : AtServer, optional
        How a server reads it; None where it is read from here.
    """

    name: str
    files: tuple[str, ...]
    tree: str = ""
    kind: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    events: Mapping[str, int] = field(default_factory=dict)
    server: AtServer | None = None
    missing_tree: str = ""
    collections: Collections = ()


# From the plain data of a fileset to its datasets: every form that coffea takes --------------------------------------------------
#
# ::
#
#     {dataset: {"files": {path: tree}, "metadata": {...}}}
#     {dataset: {"files": {path: {"object_path": tree, "steps": [[0, 1000]], "num_entries": 1000, "uuid": "..."}}}}
#     {dataset: {"files": [path, ...], "treename": tree}}
#     {dataset: [path, ...]}
#     {dataset: path}
#     {dataset: {"files": {path: tree}, "missing_tree": "empty", "collections": {"jet": ["jet_pt", "jet_eta"]}}}
#     {dataset: {"files": {"rucio://scope:name": tree}, "metadata": {"kind": "nanoaod", "like": "file.root", "endpoint": "server"}}}
#
# The last is a dataset of the grid, which a ServiceX server reads; so are files whose metadata name an ``endpoint`` or a ``dialect``.

_FORM = "a dataset is {files: {path: tree}, metadata: {...}}, or a list of paths"


class FileSaid(BaseModel):
    """What is said of one file: its tree, and how many events it has. Of what coffea adds to it, nothing else is needed."""

    object_path: str | None = None
    num_entries: StrictInt | None = None
    steps: list[tuple[int, int]] | None = None

    @model_validator(mode="before")
    @classmethod
    def _tree(cls, said: Any) -> Any:
        return {"object_path": said} if said is None or isinstance(said, str) else said

    @property
    def events(self) -> int | None:
        """The number of events, where it is said."""
        return self.steps[-1][1] if self.steps else self.num_entries

    @model_validator(mode="after")
    def _all_events(self) -> Self:
        """Refuse steps that leave events out: else these would be read all the same."""
        ends = [0, *[b for _, b in self.steps or ()]]
        if [a for a, _ in self.steps or ()] != ends[:-1] or (self.steps and self.num_entries not in (None, ends[-1])):
            raise PydanticCustomError(
                "steps",
                "its steps leave events out",
                {"why": "a table has all events of its files", "do": "select them in the analysis: events[:1000]"},
            )
        return self


class DatasetSaid(BaseModel):
    """One dataset of a fileset as it is written. coffea reads with the help of ``form``; ``did`` says where a dataset comes from."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    files: list[tuple[str | os.PathLike[str], FileSaid]] = Field(min_length=1)
    metadata: dict[str, Any] | None = None
    treename: str | None = None
    tree: str | None = None
    object_path: str | None = None
    table_format: Any = Field(None, alias="format")
    table_schema: Any = Field(None, alias="schema")
    form: Any = None
    compressed_form: Any = None
    did: Any = None
    missing_tree: Any = None
    collections: Any = None

    @field_validator("files", mode="before")
    @classmethod
    def _pairs(cls, said: Any) -> Any:
        if isinstance(said, str | os.PathLike):
            return [(said, None)]
        if isinstance(said, Mapping):
            return list(said.items())
        return [(f, None) for f in said] if isinstance(said, list | tuple) else said


_MEMBERS = tuple([f.alias or name for name, f in DatasetSaid.model_fields.items()])


def parse(data: Any, folder: Path, title: str) -> tuple[Entry, ...]:
    """Give the datasets of a fileset.

    Parameters
    ----------
    data : mapping
        The fileset.
    folder : Path
        Where relative paths start.
    title : str
        What the fileset is called in errors.

    Raises
    ------
    SourceError
        When it has another form; the dataset is named.
    """
    if not isinstance(data, Mapping):
        raise SourceError(f"{title} is {with_article(data)}, not a mapping of datasets", do=_FORM)
    if not data:
        raise SourceError(f"{title} has no datasets", do=_FORM)
    for name in data:
        if not isinstance(name, str) or not name.strip() or "\0" in name:
            raise SourceError(
                f"{title}: {name!r} is no name of a dataset", why="names are texts", do='write them in quotes: "2018":'
            )
    return tuple([_entry(n, d, folder, title) for n, d in data.items()])


def _entry(name: str, said: Any, folder: Path, title: str) -> Entry:
    here = f"{title}: dataset {name!r}"
    if isinstance(said, str | os.PathLike | Sequence):
        said = {"files": said}
    try:
        made = DatasetSaid.model_validate(dict(said) if isinstance(said, Mapping) else said)
    except ValidationError as error:
        raise _wrong(error, here, said) from None
    files = _files(made, folder, here)
    metadata = made.metadata or {}
    server = _at_server(tuple(files), metadata, folder, here)
    # Where no server is named, "kind" among the metadata is the user's own word.
    schema, written = made.table_schema or metadata.get("schema"), made.table_format or metadata.get("format")
    said_as = (metadata.get("kind") if server is not None else None, schema, written)
    kind = next((kind for word in said_as if (kind := kind_named(word, here))), "")
    trees = {t for t in (made.treename or made.tree or made.object_path, *[f.object_path for f in files.values()]) if t}
    if len(trees) > 1:
        raise SourceError(f"{here} has several trees: {', '.join(sorted(trees))}", do="make one dataset for each tree")
    events = {file: f.events for file, f in files.items() if f.events is not None}
    missing_tree, collections = missing_tree_named(made.missing_tree, here), collections_named(made.collections, here)
    about = metadata | {"dataset": name}
    return Entry(name, tuple(files), next(iter(trees), ""), kind, about, events, server, missing_tree, collections)


def _wrong(error: ValidationError, here: str, said: Any) -> SourceError:
    """Give the error of a dataset that has another form: which member, what it is, and what it should be."""
    found = error.errors(include_url=False)[0]
    place, given, about = list(found["loc"]), found["input"], found.get("ctx", {})
    is_of_file = place[:1] == ["files"] and len(place) > 1
    if is_of_file:
        path = said["files"] if isinstance(said["files"], str | os.PathLike) else list(said["files"])[int(place[1])]
        if place[2] == 0:
            return SourceError(f"{here}: {path!r} is no path")
        here, place = f"{here}: {os.fspath(path)}", place[3:]
    match found["type"], place:
        case "extra_forbidden", [member]:
            do = did_you_mean(str(member), _MEMBERS) or "put it into metadata"
            return SourceError(f"{here} has {member!r}", why=_FORM, do=do)
        case "missing" | "too_short", _:
            return SourceError(f"{here} has no files", do=_FORM)
        case "steps", _:
            return SourceError(f"{here}: {found['msg']}", why=about["why"], do=about["do"])
        case _, []:
            what = "is described by" if is_of_file else "is"
            return SourceError(f"{here} {what} {with_article(given)}", do="write the name of its tree" if is_of_file else _FORM)
        case _, ["files"]:
            return SourceError(f"{here}: its files are {with_article(given)}", do=_FORM)
        case _, ["metadata", *_]:
            return SourceError(f"{here}: its metadata is not a mapping of names to values")
        case _:
            member = ".".join([str(p) for p in place])
            return SourceError(f"{here}: {member} is {with_article(given)}", why=f"{found['msg'][:1].lower()}{found['msg'][1:]}")


def _at_server(files: Sequence[str], metadata: Mapping[str, Any], folder: Path, here: str) -> AtServer | None:
    """Give how a server reads the files; None where they are read from here."""
    on_grid = [f for f in files if f.startswith(DATASETS)]
    if not on_grid and not files[0].startswith(LOCAL) and not any(metadata.get(k) for k in ("endpoint", "dialect")):
        return None
    if on_grid and len(files) > 1:
        raise SourceError(
            f"{here} has {on_grid[0]} and {len(files) - 1} more",
            why="one server looks a dataset of the grid up, and a table has one such dataset",
            do="make a dataset of the fileset for each",
        )
    said = {k: metadata.get(k) or "" for k in ("like", "endpoint", "dialect")}
    wrong = next((k for k, v in said.items() if not isinstance(v, str)), None)
    if wrong is not None:
        raise SourceError(f"{here}: {wrong} is a text, not {with_article(said[wrong])}")
    return AtServer(_placed(said["like"], folder) if said["like"] else "", said["endpoint"], said["dialect"])


def _files(said: DatasetSaid, folder: Path, here: str) -> dict[str, FileSaid]:
    """Give what is said of each file, local ones by their whole path."""
    files: dict[str, FileSaid] = {}
    spelled: dict[str, str] = {}
    for path, about in said.files:
        file = _placed(os.fspath(path), folder)
        if not os.fspath(path):
            raise SourceError(f"{here}: {path!r} is no path")
        if file in files:
            what = f"{here}: {spelled[file]} and {os.fspath(path)} are the same file"
            raise SourceError(what, do="leave one out: its events would count twice")
        spelled[file], files[file] = os.fspath(path), about
    return files


def _placed(path: str, folder: Path) -> str:
    if "://" in path:
        return path
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))  # noqa: PTH100, PTH111, PTH118 - patterns are texts


# A folder or a pattern as a fileset: one dataset for each folder that has files --------------------------------------------------


def entries_in(folder: Path) -> tuple[Entry, ...]:
    """Give a dataset for each subfolder that has data files at any depth, and one for the files of the folder itself.

    Raises
    ------
    SourceError
        When there are none.
    """
    found = [_folder_entry(folder.name, _files_like(folder, "*"))] if _files_like(folder, "*") else []
    below = [p for p in sorted(folder.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    found += [_folder_entry(p.name, files) for p in below if (files := _files_like(p, "**/*"))]
    if not found:
        raise SourceError(f"there are no data files in {folder}", why=f"data files end in {', '.join(endings())}")
    return tuple(found)


def entries_like(pattern: str) -> tuple[Entry, ...]:
    """Give a dataset for each folder whose files match a pattern; a folder that matches is a dataset with all of its files.

    Raises
    ------
    SourceError
        When nothing matches.
    """
    matches = [Path(p) for p in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))]  # noqa: PTH111, PTH207
    by_folder: dict[Path, list[str]] = {}
    for path in matches:
        if path.is_dir():
            by_folder.setdefault(path.resolve(), []).extend(_files_like(path.resolve(), "**/*"))
        elif path.name.lower().endswith(endings()):
            by_folder.setdefault(path.resolve().parent, []).append(str(path.absolute()))
    filled = {folder: list(dict.fromkeys(files)) for folder, files in by_folder.items() if files}
    if not filled:
        raise SourceError(f"no data file matches {pattern}", why=f"patterns start from the current folder, {Path.cwd()}")
    names = _names(list(filled))
    return tuple([_folder_entry(names[folder], files) for folder, files in filled.items()])


def _names(folders: list[Path]) -> dict[Path, str]:
    """Name folders by the last parts of their paths, as few as tell them apart."""
    for depth in range(1, max([len(f.parts) for f in folders]) + 1):
        names = {f: "/".join(f.parts[-depth:]) for f in folders}
        if len(set(names.values())) == len(folders):
            return names
    raise AssertionError


def _files_like(folder: Path, pattern: str) -> list[str]:
    found = [p.absolute() for p in sorted(folder.glob(pattern)) if p.name.lower().endswith(endings()) and p.is_file()]
    return [str(p) for p in found if not any(part.startswith(".") for part in p.relative_to(folder.absolute()).parts)]


def _folder_entry(name: str, files: list[str]) -> Entry:
    return Entry(name, tuple(files), metadata={"dataset": name})


# Read a fileset's file: JSON or YAML, compressed or not, as plain data -----------------------------------------------------------

TEXT_ENDINGS = (".json", ".yaml", ".yml")
MOST_EXPANSION = 100  # names and paths of real filesets shrink to a tenth or a twentieth
_ALWAYS = 64 * 1024


_MERGE = "tag:yaml.org,2002:merge"


def is_text(path: Path) -> bool:
    """Say whether a file is read as a fileset: by its ending, ``.json``, ``.yaml``, ``.yml``, each with ``.gz`` or without."""
    return path.name.lower().removesuffix(".gz").endswith(TEXT_ENDINGS)


def read_text(path: Path) -> Any:
    """Give the content of a fileset's file.

    Raises
    ------
    SourceError
        When it is missing, damaged, too large, or says one name twice.
    """
    try:
        text = _bytes(path).decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_once) if ".json" in path.suffixes else _yaml(text)
    except FileNotFoundError:
        raise SourceError(f"there is no fileset {path}") from None
    except (OSError, EOFError, ValueError, zlib.error, RecursionError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: BaseException) -> SourceError:
    why = " ".join(str(error).split()) or type(error).__name__
    return SourceError(f"the fileset {path} cannot be read", why=why, do="it is JSON or YAML: {dataset: {files: {path: tree}}}")


def _bytes(path: Path) -> bytes:
    from hep_flows.settings import read_settings

    with regular_file(path) as file:
        packed = os.fstat(file.fileno()).st_size
        most, why = read_settings().fileset_limit, f"the setting fileset_limit, {PREFIX}FILESET_LIMIT"
        if path.suffix != ".gz":
            found = file.read(most + 1)
        else:
            if packed * MOST_EXPANSION < most:
                most, why = max(packed * MOST_EXPANSION, _ALWAYS), f"{MOST_EXPANSION} times the {packed:,} of the compressed file"
            with gzip.open(file) as unpacked:
                found = unpacked.read(most + 1)
    if len(found) > most:
        raise ValueError(f"it has more than {most:,} bytes: {why}")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"{key!r} stands in it twice")
        found[key] = value
    return found


def _yaml(text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """Makes plain data only, and takes no name twice."""

    def mapping(loader: Loader, node: yaml.MappingNode) -> dict[Any, Any]:
        written = [loader.construct_object(k, deep=True) for k, _ in node.value if k.tag != _MERGE]
        twice = [k for i, k in enumerate(written) if k in written[:i]]
        if twice:
            raise ValueError(f"{twice[0]!r} stands in it twice")
        return loader.construct_mapping(node, deep=True)

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(text, Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
    except TypeError as error:  # a name that is a list or a mapping
        raise ValueError(str(error)) from None


_PATTERN = re.compile(r"[*?\[]")


def read_fileset(fileset: Any, *, only: Iterable[str] | None = None) -> tuple[Entry, ...]:
    """Give the datasets of a fileset, in its order.

    Parameters
    ----------
    fileset : mapping, str or Path
        coffea's mapping, or a file that holds it; a folder or a pattern, whose folders are datasets; or one data file.
    only : iterable of str, optional
        The datasets to take.

    Raises
    ------
    SourceError
        When it has another form, or lacks a dataset that is asked for.
    """
    return chosen(_entries(fileset), only)


def chosen(entries: Sequence[Entry], only: Iterable[str] | None) -> tuple[Entry, ...]:
    """Give those datasets that are asked for, in the order of the fileset; all when nothing is said.

    Raises
    ------
    SourceError
        When there is none of a name.
    """
    if only is None:
        return tuple(entries)
    wanted = [only] if isinstance(only, str) else list(only)
    names = [e.name for e in entries]
    for name in wanted:
        if name not in names:
            raise SourceError(
                f"the fileset has no dataset {name!r}", do=did_you_mean(str(name), names) or f"it has {', '.join(names[:12])}"
            )
    return tuple([e for e in entries if e.name in wanted])


def _entries(fileset: Any) -> tuple[Entry, ...]:
    if isinstance(fileset, Mapping):
        return parse(fileset, Path.cwd(), "the fileset")
    if not isinstance(fileset, str | os.PathLike):
        raise SourceError(f"a fileset is a mapping or a path, not {with_article(fileset)}")
    text = os.fspath(fileset)
    if "://" in text and text.split("?", 1)[0].lower().endswith(endings()):
        name = text.split("?", 1)[0].rpartition("/")[2].rpartition(".")[0]
        return (Entry(name, (text,), metadata={"dataset": name}),)
    if "://" in text:
        raise SourceError(f"{text}: a fileset is a local file", do="download it; the files that it lists may be remote")
    path = Path(text).expanduser()
    if path.is_dir():
        return entries_in(path.absolute())
    if path.is_file() or not _PATTERN.search(text):
        return _of_file(path)
    return entries_like(text)


def _of_file(path: Path) -> tuple[Entry, ...]:
    if is_text(path):
        return parse(read_text(path), path.absolute().parent, path.name)
    if path.name.lower().endswith(endings()):
        return (Entry(path.stem, (str(path.absolute()),), metadata={"dataset": path.stem}),)
    if not path.exists():
        raise SourceError(f"there is no fileset {path}")
    raise SourceError(
        f"{path} is no fileset", why="its ending says neither JSON nor YAML", do="name it fileset.json or fileset.yaml"
    )


# The tables of the datasets of a fileset: what kind they are, their files, their schema ------------------------------------------

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Described:
    """A dataset whose files were looked at.

    Parameters
    ----------
    entry : Entry
        As it stands in the fileset.
    table : Dataset
        Its table: of the files that can be used.
    kind_reason : str
        Why it is taken for that kind of table; empty where the fileset says so.
    bad : mapping of str to HepFlowsError
        By file, why each other one cannot be used.
    """

    entry: Entry
    table: Dataset
    kind_reason: str
    bad: Mapping[str, HepFlowsError] = field(default_factory=dict)


def describe_all(
    entries: Sequence[Entry],
    facts: Results,
    *,
    kind: str = "",
    missing_tree: str = "",
    keep_going: bool = True,
    left_out: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[dict[str, Described], dict[str, HepFlowsError]]:
    """Give the tables by dataset, of the files that can be used, and why each dataset without any cannot be used.

    Parameters
    ----------
    entries : sequence of Entry
        The datasets.
    facts : Results
        Where it is remembered what is in files.
    kind : str
        The kind of table of all datasets that do not name one; guessed when empty.
    missing_tree : str
        What a file without the tree means in datasets that do not say: ``empty``, else an error.
    keep_going : bool
        Whether a dataset or a file that cannot be used leaves the others; else its error comes out.
    left_out : mapping, optional
        By dataset, files that are not to be used, each with the reason.
    """
    known = KnownFiles(facts)

    def one(entry: Entry) -> Described | HepFlowsError:
        try:
            found = _described(entry, facts, known, kind, missing_tree, (left_out or {}).get(entry.name, {}))
            return bad_files(list(found.bad.values())) if found.bad and not keep_going else found
        except HepFlowsError as error:
            return error

    # Where files are known, looking at them takes less time than starting threads.
    remote = any("://" in f for e in entries for f in e.files)
    if remote and len(entries) > 1:
        with ThreadPoolExecutor(min(_THREADS, len(entries))) as threads:
            found = list(threads.map(one, entries))
    else:
        found = [one(e) for e in entries]
    return _sorted_out(dict(zip([e.name for e in entries], found, strict=True)), keep_going=keep_going)


def _sorted_out(
    found: Mapping[str, Described | HepFlowsError], *, keep_going: bool
) -> tuple[dict[str, Described], dict[str, HepFlowsError]]:
    failed = {n: d for n, d in found.items() if isinstance(d, HepFlowsError)}
    if failed and not keep_going:
        raise next(iter(failed.values()))
    return {n: d for n, d in found.items() if isinstance(d, Described)}, failed


def _described(
    entry: Entry, facts: Results, known: KnownFiles, asked: str, missing_tree: str, left_out: Mapping[str, str]
) -> Described:
    from hep_flows.record.dataframe import dataset_of

    if entry.server is not None:
        return _described_at_server(entry, entry.server, facts, asked)
    kind, reason = entry.kind or asked, ""
    if not kind:
        # As a tree, so that what follows the colon of "file.root:Events" is taken for its name.
        files, tree = files_of(entry.files, "tree", entry.tree, may_repeat=False)
        kind, reason = guessed_kind(files, tree, facts)
    files, tree = _files_of(entry, kind)
    how = Asked(tree, (entry.missing_tree or missing_tree) == "empty", entry.collections)

    def wrong(file: str, content: str) -> SourceError | None:
        return SourceError(left_out[shown(file)]) if shown(file) in left_out else _wrong_events(entry, file, content)

    found = known.look(kind, files, tree, how, wrong)
    if found.good is None:
        raise bad_files(list(found.bad.values()))
    return Described(entry, dataset_of(found.good, kind, entry.name, entry.collections), reason, found.bad)


def _described_at_server(entry: Entry, how: AtServer, facts: Results, asked: str) -> Described:
    """Describe a dataset that a server reads: its kind is what is said, else that of its tree or of the file that it is like."""
    from hep_flows.plugins.servicex.tables import servicex_dataset

    kind, reason = entry.kind or asked, ""
    if not kind:
        if not entry.tree and not how.like:
            raise SourceError(
                f"nothing says what kind of table {entry.files[0]} is",
                why="it cannot be looked into from here",
                do='add {"schema": "nanoaod"} to its metadata, or name its tree',
            )
        kind, reason = guessed_kind([how.like], entry.tree, facts)
    source = entry.files[0] if dataset_name(entry.files[0]) else list(entry.files)
    tree = "" if source_of(kind).names_tree == "fixed" else entry.tree
    like, endpoint, dialect = (v or None for v in (how.like, how.endpoint, how.dialect))
    table = servicex_dataset(source, facts, kind=kind, tree=tree, like=like, endpoint=endpoint, dialect=dialect, name=entry.name)
    return Described(entry, table, reason)


def _files_of(entry: Entry, kind: str) -> tuple[tuple[str, ...], str]:
    source = source_of(kind)
    if source.names_tree != "fixed":
        return files_of(entry.files, kind, entry.tree if source.names_tree else "", may_repeat=False)
    if entry.tree not in ("", *source.trees):
        raise SourceError(
            f"the tree of {source.title or kind} is {' or '.join(source.trees)}, not {entry.tree}", do="is it of another kind?"
        )
    plain = [next((f.removesuffix(f":{t}") for t in source.trees if f.endswith(f":{t}")), f) for f in entry.files]
    return files_of(plain, kind, entry.tree, may_repeat=False)


def _wrong_events(entry: Entry, file: str, content: str) -> SourceError | None:
    """Say that a file has not as many events as the fileset says: then it is not the file that it was made for."""
    said, has = entry.events.get(file), content.partition(":")[0]
    if said is None or not has.isdigit() or int(has) == said:
        return None
    return SourceError(
        f"{shown(file)} has {int(has):,} events, the fileset says {said:,}", do="make the fileset anew, or leave num_entries out"
    )


def differences(table: Dataset) -> list[str]:
    """Give in what the files of a table differ: a leaf that some lack, or hold as kinds that do not fit together."""
    from hep_flows.expr.types import Record

    def inside(record: Record, above: str) -> list[str]:
        found = []
        for name, member in record.members.items():
            if member.lacking or member.differs:
                found.append(f"{above}{name}: {member.lacking or member.differs}")
            elif isinstance(member.item, Record):
                found += inside(member.item, f"{above}{name}.")
        return found

    return inside(table.type.item, "") if isinstance(table.type.item, Record) else []
