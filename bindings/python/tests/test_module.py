# SPDX-License-Identifier: Apache-2.0
"""What the module says about the library and itself."""

import ast
import re
from pathlib import Path

import pytest

import gpuqueue


def test_version_is_the_librarys():
    assert re.fullmatch(r"\d+\.\d+\.\d+", gpuqueue.version)
    assert gpuqueue.__version__ == gpuqueue.version == gpuqueue.info()["version"]


def test_handlers():
    rows = {row["name"]: row for row in gpuqueue.handlers()}
    assert {"echo", "crc32c", "sha256"} <= rows.keys()
    assert all(row.keys() == {"name", "summary", "scopes", "output"} for row in rows.values())
    assert rows["sha256"]["output"] == "hex" and rows["echo"]["output"] == "raw"


def test_options_are_the_librarys_table():
    rows = {row["name"]: row for row in gpuqueue.options()}
    assert rows["capacity"]["default"] == "4096" and rows["capacity"]["range"] == "2 to 1048576"
    assert all(row.keys() == {"name", "type", "range", "default", "help"} for row in rows.values())
    assert all(all(row.values()) for row in rows.values())


@pytest.mark.parametrize("name", [row["name"] for row in gpuqueue.options()])
def test_every_option_is_a_keyword(name):
    values = {"backend": "cpu", "handler": "echo", "scope": "auto", "arena_bytes": "64M", "ordered": False,
              "timeout_ms": 1000, "sms": 4, "cell_bytes": 256, "state": None}
    default = next(row["default"] for row in gpuqueue.options() if row["name"] == name)
    value = values.get(name, default.split()[0])
    with gpuqueue.Queue(**{"backend": "cpu", name: value}) as queue:
        assert queue.result(queue.enqueue(b"abc"), timeout=60) == b"abc"
    with gpuqueue.Queue(**{"backend": "cpu", name: None if name != "backend" else "cpu"}):
        pass


def test_info():
    info = gpuqueue.info()
    assert info["cpu_usable"] is True and info["cpus"] >= 1 and info["unit_bytes"] in (8, 16)
    assert isinstance(info["devices"], list) and (info["cuda_usable"] or info["cuda_reason"])
    assert info["driver_version"] is None or re.fullmatch(r"\d+\.\d+", info["driver_version"])


def stub():
    return ast.parse(Path(gpuqueue.__file__).with_suffix(".pyi").read_text())


def test_stub_names_what_there_is():
    names = set()
    for node in stub().body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            assert ast.literal_eval(node.value) == gpuqueue.__all__
        elif isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
    assert names == {*gpuqueue.__all__, "__version__"}


def test_stub_has_every_method_and_option():
    [queue] = [node for node in stub().body if isinstance(node, ast.ClassDef) and node.name == "Queue"]
    methods = {node.name: node for node in queue.body}
    assert {name for name in vars(gpuqueue.Queue) if not name.startswith("_")} == {
        name for name in methods if not name.startswith("_")}
    keywords = {argument.arg for argument in methods["__init__"].args.kwonlyargs} | {"handler"}
    assert keywords == {row["name"] for row in gpuqueue.options()} | {"args"}


def test_stub_statuses():
    [status] = [node for node in stub().body if isinstance(node, ast.ClassDef) and node.name == "Status"]
    assert {node.targets[0].id: node.value.value for node in status.body} == {
        member.name: member.value for member in gpuqueue.Status}


README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("number", range(2))
def test_examples_of_the_readme_run(number):
    examples = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(examples) == 2
    exec(compile(examples[number], f"{README}, example {number + 1}", "exec"), {"__name__": "example"})
