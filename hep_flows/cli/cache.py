"""``hep-flows cache``: look into the cache, and keep it small and sound."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hep_flows.errors import RecordError, StoreError, did_you_mean, visible
from hep_flows.execute.history import NEVER, changed_libraries, computed_because, replaced_by
from hep_flows.execute.results import Results
from hep_flows.plugins import installed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hep_flows.store.index import Row
    from hep_flows.store.store import Store

# Bytes as people read them -------------------------------------------------------------------------------------------------------


def shown_size(n: float) -> str:
    """Give for example ``12.3 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"


cache = typer.Typer(help="Look into the cache of results, and keep it small and sound.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(help="The key of a result, or its first digits.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@cache.command()
def path(key: Annotated[str, typer.Argument(help="A key, or its first digits; the folder when left out.")] = "") -> None:
    """Print the folder of the cache, or the Parquet file of a result."""
    store = _store()
    typer.echo(store.path(_found(store, key).key) if key else store.folder.root)


@cache.command()
def info(*, as_json: AsJson = False) -> None:
    """Say how much is in the cache."""
    from hep_flows.settings import read_settings
    from hep_flows.store.index import listed

    store = _store()
    rows = listed(store).values()
    limit = read_settings().cache_limit
    said: dict[str, object] = {
        "folder": store.folder.root,
        "state": "can be written" if store.writable else f"read only: {store.why_read_only}",
        "results": len(rows),
        "bytes": sum([r.nbytes for r in rows]),
        "limit": limit,
        "pinned": len([r for r in rows if r.pinned]),
        "layers": [layer.root for layer in store.layers],
        "unused": list(store.of_other_formats()),
    }
    if as_json:
        typer.echo(json.dumps(said, indent=2))
        return
    said |= {"bytes": shown_size(sum([r.nbytes for r in rows])), "limit": "none" if limit is None else shown_size(limit)}
    said["layers"] = ", ".join([layer.root for layer in store.layers]) or "none"
    said["unused"] = ", ".join([f"{folder} (of another version of hep_flows)" for folder in store.of_other_formats()]) or "none"
    for name, value in said.items():
        typer.echo(f"{name + ':':9s} {value}")


@cache.command()
def ls(
    *,
    most: Annotated[int, typer.Option(min=1, help="How many are listed, the last used first.")] = 40,
    plugin: Annotated[str, typer.Option(help="Only results of this plug-in.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the results, those that were used last first."""
    from hep_flows.store.index import listed

    rows = [r for r in listed(_store()).values() if not plugin or r.about.get("plugin") == plugin]
    rows.sort(key=lambda r: (-r.used, r.key))
    if as_json:
        typer.echo(json.dumps([_row(r) for r in rows[:most]], indent=2))
        return
    for r in rows[:most]:
        pin = "*" if r.pinned else " "
        typer.echo(f"{r.key[:12]}{pin} {shown_size(r.nbytes):>9s} {r.rows:>10,} rows  {_age(r.used):>8s}  {_about(r)}")
    if len(rows) > most:
        typer.echo(f"... and {len(rows) - most:,} more")


@cache.command()
def verify(
    *,
    decode: Annotated[
        bool, typer.Option("--decode", help="Read every result too, not just its bytes, and compute its key again.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is damaged.")] = False,
) -> None:
    """Check every result against its checksum; the exit code is 1 when one is damaged."""
    from hep_flows.execute.machine import key_named_by
    from hep_flows.store.upkeep import verify as check

    report = check(_store(), decode=decode, remove_damaged=remove, key_of=key_named_by)
    typer.echo(f"{report.sound:,} results are sound ({shown_size(report.nbytes)})")
    if report.leftovers.files:
        typer.echo(
            f"removed {report.leftovers.files:,} files that interrupted runs had left ({shown_size(report.leftovers.nbytes)})"
        )
    for damage in report.damaged:
        typer.echo(visible(f"damaged: {damage.key}: {damage.reason}"))
    if not report.is_sound:
        raise typer.Exit(1)


@cache.command()
def gc(
    *,
    limit: Annotated[str, typer.Option(help="How much may stay, such as 20GB; the setting cache_limit when left out.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
) -> None:
    """Remove what was not used for longest until the rest fits; pinned and very recent results stay."""
    from hep_flows.settings import read_settings
    from hep_flows.store.upkeep import collect

    settings = read_settings(**({"cache_limit": limit} if limit else {}))
    report = collect(_store(), limit_bytes=settings.cache_limit, dry_run=dry_run)
    verb = "would remove" if dry_run else "removed"
    typer.echo(f"{verb} {len(report.removed):,} results ({shown_size(report.removed_bytes)})")
    typer.echo(f"{len(report.kept):,} results stay ({shown_size(report.kept_bytes)})")
    if not report.is_within_limit:
        typer.echo("that is more than the limit: the rest is pinned, in use, or was used a moment ago")


@cache.command()
def rebuild() -> None:
    """Make the index anew from what is there."""
    from hep_flows.store.index import rebuild as make

    typer.echo(f"{len(make(_store())):,} results")


@cache.command()
def why(key: Key) -> None:
    """Say what a result is, what it was made from, and how it came about."""
    store = _store()
    typer.echo(explained(store, _found(store, key).key))


@cache.command()
def pin(
    key: Key,
    *,
    reason: Annotated[str, typer.Option(help="Why it is kept.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let it be removed again.")] = False,
) -> None:
    """Keep a result for ever: no collection removes it."""
    from hep_flows.store import index

    store = _store()
    found = _found(store, key).key
    if undo:
        index.unpin(store, found)
    else:
        index.pin(store, found, reason)
    typer.echo(f"{found} {'may be removed' if undo else 'stays'}")


@cache.command()
def rm(keys: Annotated[list[str], typer.Argument(help="Keys of results, or their first digits.")]) -> None:
    """Remove results; they are computed again when they are asked for."""
    store = _store()
    for found in [_found(store, k).key for k in keys]:
        store.remove(found)
        typer.echo(f"removed {found}")


def _store() -> Store:
    from hep_flows.execute.results import open_store
    from hep_flows.settings import read_settings

    store = open_store(read_settings())
    if store is None:
        raise StoreError("there is no cache", why="the setting cache is off", do="hep-flows config says where it is set")
    if os.path.lexists(store.folder.root) and not os.path.isdir(store.folder.root):  # noqa: PTH112 - the store's paths are texts
        raise StoreError(
            f"there is no cache in {store.folder.root}", why="it is no folder", do="hep-flows config says where it is set"
        )
    return store


def _found(store: Store, start: str) -> Row:
    """Give the one result whose key begins with these digits."""
    from hep_flows.store.index import listed

    rows = listed(store)
    fit = [r for k, r in rows.items() if k.startswith(start.lower())]
    if len(fit) == 1:
        return fit[0]
    why = f"{len(fit)} keys begin so" if fit else f"there are {len(rows):,} results in {store.folder.root}"
    raise StoreError(
        f"{start!r} is not the key of one stored result", why=why, do=did_you_mean(start, list(rows)) if not fit else ""
    )


def _row(r: Row) -> dict[str, object]:
    row = {"key": r.key, "kind": r.kind, "type": r.type, "rows": r.rows, "bytes": r.nbytes, "created": r.created}
    return row | {"used": r.used, "pinned": r.pinned, "about": dict(r.about)}


def _about(r: Row) -> str:
    parts: Sequence[str] = [str(r.about.get(name, "")) for name in ("plugin", "dataset", "name")]
    return visible("  ".join([p for p in parts if p]))


def _age(used: float) -> str:
    seconds = max(0.0, time.time() - used)
    for length, word in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {word}"
    return f"{seconds:.0f} s"


# What is known about one stored result, as text ----------------------------------------------------------------------------------

MOST_FILES = 8


def explained(store: Store, key: str) -> str:
    """Give what a result is, what it was made from and how, and why a run would compute it or not."""
    from hep_flows.store.parquet import provenance_of

    sidecar, path = store.sidecar(key), store.path(key)
    if sidecar is None or path is None:
        raise StoreError(f"the result {key} is not in {store.folder.root}", do="hep-flows cache verify says whether it is damaged")
    about = provenance_of(path, key)
    lines = [key, f"  {sidecar.type}, {sidecar.rows:,} rows, {sidecar.nbytes:,} bytes, stored {sidecar.created}"]
    lines.append(f"  computed by {about['plugin']}, whose results have version {about['result_version']}, in {about['seconds']} s")
    lines += [f"  written at {about['line']}"] if about.get("line") else []
    lines += _expression(about)
    lines += _data(about.get("dataset") or {})
    lines += _inputs(store, about.get("inputs") or [])
    lines += _since(store, str(about.get("task") or key), about)
    versions = ", ".join([f"{n} {v}" for n, v in (about.get("versions") or {}).items()])
    lines += [f"  written with {versions}", "    (versions of libraries are not part of the key)"]
    lines += [f"    {text}" for text in changed_libraries(about.get("versions") or {})]
    return "\n".join([visible(line) for line in lines])


def _since(store: Store, task: str, about: Mapping[str, Any]) -> list[str]:
    """Say why it was computed, in whose place it is, and what changed after it."""
    results, number = Results(store), bytes.fromhex(task)
    before, after, lines = computed_because(number, results), replaced_by(number, results), []
    if before is not None:
        lines.append(f"  computed because {before.because}" if before.because != NEVER else "  computed for the first time")
        lines += [f"    instead of {_shown(store, before.other)}"] if before.other else []
    if after is not None:
        lines += [f"  since then {after.because}", f"    in its place is {_shown(store, after.other)}"]
    plugin = {p.name: p for p in installed()}.get(str(about.get("plugin")))
    if plugin is not None and plugin.result_version != about.get("result_version"):
        lines.append(f"  the results of {plugin.name} have version {plugin.result_version} now: a run computes it again")
    return lines


def _shown(store: Store, task: str) -> str:
    """Give the first digits of a task, and whether its merged result is stored."""
    found = store.sidecar(task)
    return f"{task[:12]}{'' if found is None else f', stored {found.created}'}"


def _expression(about: Mapping[str, Any]) -> list[str]:
    from hep_flows.expr.text import tree_text
    from hep_flows.expr.transport import decode

    try:
        text = tree_text(decode(str(about["expression"]).encode())) if about["expression"] else str(about["text"])
    except RecordError:
        text = str(about["text"])
    return ["  the expression", *[f"    {line}" for line in text.splitlines()]]


def _data(dataset: Mapping[str, Any]) -> list[str]:
    if not dataset:
        return []
    files, content = dataset.get("files", []), dataset.get("content", [])
    lines = [f"  the data: {dataset.get('name')}, {len(files)} files"]
    if "start" in dataset:
        lines = [f"  the data: {dataset.get('name')}, events {dataset['start']:,} to {dataset['stop']:,} of"]
    for file, identity in list(zip(files, content, strict=False))[:MOST_FILES]:
        lines.append(f"    {file}  ({_content(str(identity))})")
    return lines


def _content(identity: str) -> str:
    events, _, checksum = identity.partition(":")
    return f"{int(events):,} events, content {checksum[:12]}" if events.isdigit() else identity[:20]


def _inputs(store: Store, inputs: list[Any]) -> list[str]:
    if not inputs:
        return []
    lines = ["  made from the results"]
    for key in inputs:
        found = store.sidecar(str(key))
        lines.append(f"    {key[:12]}  {'not stored by itself' if found is None else found.about.get('name', found.type)}")
    return lines
