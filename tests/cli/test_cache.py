"""``hep-flows cache`` and ``hep-flows config``."""

import json

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from hep_flows import Histogram, nanoaod_table, render, run
from hep_flows.cli.main import app
from hep_flows.contract import LOCAL, LOCAL_VERSION, Scalar
from hep_flows.demo.sample import Recipe, sample_files
from hep_flows.errors import StoreError
from hep_flows.execute import results as open_store
from hep_flows.expr.transport import encode
from hep_flows.store.about import Provenance
from hep_flows.store.store import Store


@pytest.fixture
def done(tmp_path):
    """A histogram was computed."""
    df = nanoaod_table(str(sample_files(tmp_path, Recipe(events=200)).nanoaod))
    return run(Histogram.new.Reg(20, 0, 200, name="pt").Double().fill(pt=df.Jet.pt), on_error="raise")


def call(*words):
    result = CliRunner().invoke(app, ["cache", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout


def key_of(done):
    return done.report.tasks[-1].key


def test_a_cache_of_another_format_is_told_of_and_left_alone(tmp_path, cache_folder, capsys):
    old = cache_folder / "objects" / "ab" / f"{'ab' * 32}.json"
    old.parent.mkdir(parents=True)
    old.write_text('{"format": "hf-store/1"}')
    count = nanoaod_table(str(sample_files(tmp_path, Recipe(events=200)).nanoaod)).Count()
    assert run(count, on_error="raise").report.tasks[-1].state == "computed"
    said = [line for line in capsys.readouterr().err.splitlines() if "version" in line]
    assert said == [f"hep_flows: the results in {old.parents[1]} are of another version of hep_flows: not used, and left alone"]
    open_store.store_of.cache_clear()  # as a new process
    assert run(count, on_error="raise").report.tasks[-1].state == "cached"
    assert "version" not in capsys.readouterr().err
    assert call("verify")[0] == 0
    call("gc", "--limit", "0")
    call("rebuild")
    assert old.read_text() == '{"format": "hf-store/1"}'
    assert json.loads(call("info", "--json")[1])["unused"] == [str(old.parents[1])]


def test_info_and_ls_say_what_there_is(done, cache_folder):
    code, text = call("info", "--json")
    said = json.loads(text)
    assert (code, said["results"], said["folder"]) == (0, 3, str(cache_folder))
    assert "results:  3" in call("info")[1]
    rows = json.loads(call("ls", "--json")[1])
    assert sorted(r["about"]["plugin"] for r in rows) == ["awkward", "hist", "hist"]
    assert sum(r["bytes"] for r in rows) == said["bytes"]
    assert call("ls", "--plugin", "awkward")[1].count("\n") == 1
    assert "... and 2 more" in call("ls", "--most", "1")[1]


def test_path_gives_the_folder_and_the_file(done, cache_folder):
    assert call("path")[1].strip() == str(cache_folder)
    path = call("path", key_of(done)[:12])[1].strip()
    assert key_of(done) in pq.read_table(path)["key"].to_pylist()


def test_why_says_how_a_result_came_about(done):
    text = call("why", key_of(done)[:10])[1]
    for words in ("computed by hist", "demo_nanoaod.root", "200 events", "not part of the key", "Histogram(...).fill("):
        assert words in text
    inner = next(r["key"] for r in json.loads(call("ls", "--json")[1]) if r["about"]["plugin"] == "awkward")
    assert "events.Jet.pt" in call("why", inner)[1]


def test_verify_finds_damage(done, cache_folder):
    code, text = call("verify", "--decode")
    assert code == 0
    assert "3 results are sound" in text
    file = next(cache_folder.glob("objects-*/*/*.parquet"))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    code, text = call("verify", "--remove")
    assert code == 1
    assert "damaged: " in text
    assert "its checksum is wrong" in text
    assert call("verify")[0] == 0


def test_verify_finds_a_result_under_the_key_of_another(tmp_path, cache_folder):
    met = nanoaod_table(str(sample_files(tmp_path, Recipe(events=200)).nanoaod)).MET.pt
    run([met.Sum(), met.Max(), met], on_error="raise")
    store = Store(cache_folder)
    about = Provenance(
        "sum", family=LOCAL, result_version=LOCAL_VERSION, expression=encode(render(met.Sum())).decode(), tags=("merged",)
    )
    key = run(met.Max()).report.tasks[-1].key
    assert call("verify", "--decode")[0] == 0
    store.put(key, Scalar(1.0), about)
    assert call("verify")[0] == 0
    code, text = call("verify", "--decode")
    assert code == 1
    assert f"damaged: {key}: it is the result of another expression" in text


def test_pins_and_removal(done):
    key = key_of(done)
    assert "stays" in call("pin", key, "--reason", "thesis")[1]
    assert json.loads(call("info", "--json")[1])["pinned"] == 1
    assert "may be removed" in call("pin", key, "--undo")[1]
    assert f"removed {key}" in call("rm", key[:16])[1]
    assert json.loads(call("info", "--json")[1])["results"] == 2
    assert "2 results" in call("rebuild")[1]


def test_collection_keeps_what_was_used_a_moment_ago(done):
    code, text = call("gc", "--limit", "1kB", "--dry-run")
    assert code == 0
    assert "would remove 0 results" in text
    assert "more than the limit" in text


def test_a_key_that_is_not_there_is_an_error(done):
    with pytest.raises(StoreError, match="is not the key of one stored result"):
        call("why", "zz")
    with pytest.raises(StoreError, match="3 keys begin so"):
        call("rm", "")


def test_without_a_cache_the_commands_say_so(environment):
    environment(HEP_FLOWS_CACHE="off")
    with pytest.raises(StoreError, match="there is no cache"):
        call("info")


def test_config_lists_every_setting(cache_folder):
    text = CliRunner().invoke(app, ["config"]).stdout
    assert f"{cache_folder}  environment variable HEP_FLOWS_CACHE" in text
    assert "chunk_events" in text
    assert "default" in text


@pytest.mark.parametrize("words", [("ls",), ("info",), ("path",), ("gc",), ("verify",), ("rebuild",), ("why", "00"), ("rm", "00")])
def test_a_file_in_the_place_of_the_folder_is_no_cache(tmp_path, environment, words):
    file = tmp_path / "file"
    file.write_text("mine")
    environment(HEP_FLOWS_CACHE=file)
    with pytest.raises(StoreError, match="it is no folder"):
        call(*words)
    assert file.read_text() == "mine"
