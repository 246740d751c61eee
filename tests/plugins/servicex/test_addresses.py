"""Which servers are set up: the same that the client finds, without loading it, and without a word about tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product

import pytest

from hep_flows.plugins.servicex.addresses import configured_endpoints
from hep_flows.plugins.servicex.query import EndpointError

FILE = """
api_endpoints:
  - name: one
    endpoint: https://one.example/
    token: secret-one
  - name: two
    endpoint: https://two.example
default_endpoint: two
"""
CLIENT = """
import json, os, sys
from servicex.configuration import Configuration
told = []
for os.environ["HOME"], folder in json.loads(sys.argv[1]):
    os.chdir(folder)
    try:
        config = Configuration.read()
    except NameError:
        told.append(None)
    else:
        listed = [[e.name, e.endpoint, e.token or ""] for e in config.api_endpoints]
        told.append([config.config_file, listed, config.default_endpoint])
print(json.dumps(told))
"""


@pytest.fixture
def home(tmp_path, environment, work_in):
    folder = tmp_path / "somebody"
    (folder / "analysis" / "plots").mkdir(parents=True)
    environment(HOME=folder)
    work_in(folder / "analysis" / "plots")
    return folder


def test_the_default_server_comes_first(home):
    (home / "servicex.yaml").write_text(FILE)
    two, one = configured_endpoints()
    assert (two.name, two.url, two.token) == ("two", "https://two.example", "")
    assert (one.name, one.url, one.token) == ("one", "https://one.example", "secret-one")


def test_without_a_file_there_is_none(home, tmp_path):
    assert configured_endpoints() == ()


PLACES = (
    ("analysis/plots/.servicex", "analysis/plots/servicex.yaml"),
    ("analysis/plots/servicex.yaml", "analysis/.servicex"),
    ("analysis/servicex.yaml",),
    (".servicex", "servicex.yaml"),
    ("elsewhere/servicex.yaml", ".servicex"),
    (),
)


def test_the_file_is_the_one_that_the_client_finds(tmp_path, environment, work_in):
    cases = []
    for number, (places, folder) in enumerate(product(PLACES, ("home/analysis/plots", "data"))):
        root = tmp_path / str(number)
        for name in ("home/analysis/plots", "data"):
            (root / name).mkdir(parents=True)
        for i, place in enumerate(places):
            (root / "home" / place).parent.mkdir(exist_ok=True)
            (root / "home" / place).write_text(FILE.replace("one.example/", f"one-{i}.example"))
        cases.append([str(root / "home"), str(root / folder)])
    done = subprocess.run([sys.executable, "-c", CLIENT, json.dumps(cases)], capture_output=True, text=True, check=True)
    expected = json.loads(done.stdout)
    assert sum([e is not None for e in expected]) == 7
    for (home, folder), told in zip(cases, expected, strict=True):
        environment(HOME=home)
        work_in(folder)
        found = configured_endpoints()
        if told is None:
            assert found == ()
            continue
        file, listed, default = told
        assert {a.config_file for a in found} == {file}
        assert sorted([[a.name, a.url, a.token] for a in found]) == sorted(listed)
        assert found[0].name == default


def test_a_file_can_be_named(home, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text(FILE.replace("default_endpoint: two", ""))
    assert [a.name for a in configured_endpoints(file)] == ["one", "two"]
    with pytest.raises(EndpointError, match="there is no file"):
        configured_endpoints(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("api_endpoints: [{name: one, endpoint: x, token: my-secret", "it is no YAML"),
        ("my-secret", "it is no mapping"),
        ("token: my-secret", "no list 'api_endpoints'"),
        ("api_endpoints: [{name: one, token: my-secret}]", "has a 'name' and an 'endpoint'"),
        ("api_endpoints: [{name: one, endpoint: x, token: [my-secret]}]", "is no text"),
        (
            "api_endpoints: [{name: one, endpoint: x, token: my-secret}]\ndefault_endpoint: two",
            "'two' is not listed; there are: one",
        ),
        ("!!python/object/apply:os.getcwd []", "it is no YAML"),
    ],
)
def test_a_file_that_says_something_else_is_an_error_without_its_content(home, text, reason):
    (home / "servicex.yaml").write_text(text)
    with pytest.raises(EndpointError) as caught:
        configured_endpoints()
    assert reason in caught.value.text
    assert str(home / "servicex.yaml") in caught.value.text
    assert "my-secret" not in repr(caught.value)


def test_an_address_does_not_show_its_token(home):
    (home / "servicex.yaml").write_text(FILE)
    assert "secret-one" not in repr(configured_endpoints())


def test_finding_the_servers_loads_no_client():
    code = "import sys; from hep_flows.plugins.servicex.addresses import configured_endpoints; configured_endpoints()\n"
    code += "print([m for m in ('servicex', 'httpx', 'aioboto3', 'awkward') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
