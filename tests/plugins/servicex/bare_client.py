"""The ``servicex`` client as it is, in a process of its own: it leaves loops and files open."""

from __future__ import annotations

import json
import subprocess
import sys

from plugins.servicex.remote_runs import QASTLE

_CODE = """
import json, sys
from servicex import dataset
from servicex.models import ResultFormat
from servicex.servicex_client import ServiceXClient
config, qastle, codegen, names, format = json.loads(sys.argv[1])
source = dataset.Rucio(names) if isinstance(names, str) else dataset.FileList(names)
query = ServiceXClient(config_path=config).generic_query(source, query=qastle, codegen=codegen, result_format=ResultFormat(format))
query.servicex_polling_interval = query.minio_polling_interval = 0.05
print("files", json.dumps(query.as_files(display_progress=False).file_list))
"""


def bare_client(config, names, *, qastle=QASTLE, codegen="uproot", result_format="parquet") -> list[str]:
    """Give the files that the client gives for a list of files, or for the name of a Rucio dataset."""
    arguments = json.dumps([str(config), qastle, codegen, names, result_format])
    done = subprocess.run([sys.executable, "-c", _CODE, arguments], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    (line,) = [text for text in done.stdout.splitlines() if text.startswith("files ")]
    return sorted(json.loads(line.removeprefix("files ")))
