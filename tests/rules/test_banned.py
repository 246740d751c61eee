"""What no module may do, read off the source text: linters do not know these rules."""

import ast
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
KEY_MODULES = {"hep_flows/expr/key.py", "hep_flows/planning/keys.py"}
MODULES_THAT_RUN_CODE = {"pickle", "cloudpickle", "dill", "marshal", "shelve"}

# Where any error may be taken without being raised again, and why.
BROAD_HANDLERS = {
    "hep_flows/execute/run.py": "whatever ends a stream is the reason of every batch that it did not deliver",
    "hep_flows/sources/baskets.py": "a tree that is not understood here is read by uproot, whose error is the one to show",
    "hep_flows/sources/kinds.py": "a plug-in that cannot be loaded brings no kinds of tables, and the error of a missing kind says why",
    "hep_flows/sources/parquet.py": "a type that the library fails on cannot be read, and the others can",
    "hep_flows/sources/root.py": "a field that the library fails on cannot be read, and the others can",
    "hep_flows/plugins/__init__.py": "a plug-in that cannot be loaded is a reason to show, whatever foreign code raises",
}

# Where Python that was made a moment ago is executed, and why it is our own.
MODULES_THAT_EXECUTE = {
    "hep_flows/plugins/servicex/embedded.py": "func_adl_uproot writes Python from a query that this process made of a user's expression",
    "hep_flows/plugins/fused/regions.py": "the text of a loop is written by the module beside it, of typed nodes; no text of a user or a file is in it",
}


@cache
def sources() -> dict[str, ast.Module]:
    return {p.relative_to(ROOT).as_posix(): ast.parse(p.read_text()) for p in sorted((ROOT / "hep_flows").rglob("*.py"))}


def _offenders(is_banned: Callable[[ast.AST], bool], names: Iterable[str] | None = None) -> list[str]:
    """Give file:line of every node for which it is true."""
    return [
        f"{name}:{n.lineno}" for name in (sources() if names is None else names) for n in ast.walk(sources()[name]) if is_banned(n)
    ]


def _calls(node: ast.AST, functions: set[str]) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in functions


def _imports_code_runner(node: ast.AST) -> bool:
    match node:
        case ast.Import():
            return any(a.name.split(".")[0] in MODULES_THAT_RUN_CODE for a in node.names)
        case ast.ImportFrom():
            return (node.module or "").split(".")[0] in MODULES_THAT_RUN_CODE
    return False


def _swallows_everything(node: ast.AST) -> bool:
    if not isinstance(node, ast.ExceptHandler) or isinstance(node.body[-1], ast.Raise):
        return False
    kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    return any(k is None or (isinstance(k, ast.Name) and k.id in {"Exception", "BaseException"}) for k in kinds)


def test_no_module_changes_global_names():
    assert not _offenders(lambda n: isinstance(n, ast.Global))


def test_no_module_reads_formats_that_can_run_code():
    assert not _offenders(_imports_code_runner)
    assert {o.split(":")[0] for o in _offenders(lambda n: _calls(n, {"eval", "exec"}))} == set(MODULES_THAT_EXECUTE)


def test_the_environment_is_read_in_settings_only():
    assert not _offenders(
        lambda n: isinstance(n, ast.Attribute) and n.attr in {"environ", "getenv"}, set(sources()) - {"hep_flows/settings.py"}
    )


def test_keys_do_not_depend_on_the_process():
    present = KEY_MODULES & set(sources())
    assert "hep_flows/expr/key.py" in present
    assert not _offenders(lambda n: _calls(n, {"hash", "id", "repr", "str"}), sorted(present))


def test_errors_are_caught_by_name():
    assert {o.split(":")[0] for o in _offenders(_swallows_everything)} == set(BROAD_HANDLERS)


def test_public_functions_and_classes_say_what_they_give():
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    public = [
        (name, n) for name, tree in sources().items() for n in tree.body if isinstance(n, kinds) and not n.name.startswith("_")
    ]
    assert public
    assert not [f"{name}:{n.name}" for name, n in public if not ast.get_docstring(n)]


def test_modules_say_what_they_are():
    assert not [name for name, tree in sources().items() if tree.body and not ast.get_docstring(tree)]


def test_no_file_names_a_place_of_one_machine():
    place = re.compile(r"(?<![\w.~])/(?:w[o]rk|h[o]me(?!/somebody)|r[o]ot|U[s]ers|m[n]t)/\w")
    folders = ("hep_flows", "tests", "docs", "flows", "benchmarks", ".ci")
    files = [
        p for folder in folders for p in (ROOT / folder).rglob("*") if "__pycache__" not in p.parts and ".hypothesis" not in p.parts
    ]
    files += [ROOT / name for name in ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml")]
    texts = [f for f in files if f.is_file() and f.suffix in {"", ".json", ".md", ".py", ".toml", ".txt", ".yaml", ".yml"}]
    assert not [f"{f.relative_to(ROOT)}: {m}" for f in texts for m in place.findall(f.read_text(errors="replace"))]


def test_modules_that_texts_and_programs_in_quotes_name_are_there():
    """A module that moves leaves its name behind where no import fails: in comments, messages, pages, and programs that tests start."""
    folders = [ROOT / f for f in ("hep_flows", "tests", "flows", "benchmarks", "docs")]
    paths = [p for f in folders for p in f.rglob("*.*") if p.suffix in (".py", ".md", ".txt")]
    named = [(p, name) for p in paths for name in re.findall(r"\bhep_flows(?:\.[a-z]\w*)+", p.read_text(encoding="utf-8"))]
    gone = [f"{p.relative_to(ROOT)}: {name}" for p, name in named if not _is_there(name.split(".")[1:])]
    assert {g for g in gone if not g.endswith(" hep_flows.nothing_of_the_kind")} == set()


def _is_there(words: list[str]) -> bool:
    """Say whether words lead from the package to a module, or to a name that the last folder on the way gives."""
    folder = ROOT / "hep_flows"
    for word in words:
        if not (folder / word).is_dir():
            return (folder / f"{word}.py").is_file() or re.search(rf"\b{word}\b", (folder / "__init__.py").read_text()) is not None
        folder /= word
    return True
