"""House rules that a machine can see."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from nudges.db import Base
from tests.conftest import ROOT

MOST_LINES = 500
MOST_FUNCTION_LINES = 50
SOURCES = sorted(p for folder in ("nudges", "schedules") for p in (ROOT / folder).rglob("*.py"))
PURE = sorted((ROOT / "schedules").rglob("*.py"))
CLOCK = re.compile(r"datetime\.now\(|utcnow\(|date\.today\(|time\.time\(|monotonic\(|perf_counter\(")


def named(paths):
    return [pytest.param(p, id=str(p.relative_to(ROOT))) for p in paths]


@pytest.mark.parametrize("path", named(SOURCES))
def test_files_and_functions_stay_small(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MOST_FUNCTION_LINES, node.name


@pytest.mark.parametrize("path", named(p for p in SOURCES if p != ROOT / "nudges/clock.py"))
def test_only_the_clock_module_reads_a_clock(path: Path):
    code = "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if not line.strip().startswith("#"))
    found = CLOCK.findall(code)
    # The crisis screen times its own work (a duration, not a moment): its timer is an argument with this default.
    assert not [word for word in found if "crisis" not in path.parts or "monotonic" not in word and "perf" not in word]


@pytest.mark.parametrize("path", named(PURE))
def test_the_core_imports_the_standard_library_and_yaml_only(path: Path):
    foreign = {"nudges", "flask", "sqlalchemy", "apscheduler", "twilio", "random", "requests", "os", "socket"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        assert not {name.split(".")[0] for name in names} & foreign


def test_nobody_imports_the_app():
    for path in SOURCES:
        assert not re.search(r"^\s*(from|import) app\b", path.read_text(encoding="utf-8"), re.MULTILINE), path


@pytest.mark.parametrize("path", named(p for p in SOURCES if p.name == "__init__.py"))
def test_package_files_hold_a_docstring_and_nothing_else(path: Path):
    body = ast.parse(path.read_text(encoding="utf-8")).body
    assert len(body) == 1 and isinstance(body[0], ast.Expr)


@pytest.mark.parametrize(
    "path", named(sorted(p for d in ("migrations", "tests", "bench") for p in (ROOT / d).rglob("*.py")))
)
def test_no_file_anywhere_passes_the_limit(path: Path):
    assert path.read_text(encoding="utf-8").count("\n") <= MOST_LINES


@pytest.mark.parametrize("path", named(p for p in SOURCES if p.parent != ROOT / "nudges/channels"))
def test_only_the_channels_folder_knows_a_provider_by_name(path: Path):
    """What differs between providers is asked of the registry's entry (nudges/channels/provider.py)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
            names = [side.attr for side in compared if isinstance(side, ast.Attribute)]
            names += [side.id for side in compared if isinstance(side, ast.Name)]
            words = [side.value for side in compared if isinstance(side, ast.Constant)]
            assert not ({"twilio", "phone"} & set(words) and {"channel", "provider", "name"} & set(names))
        assert not (isinstance(node, ast.Constant) and node.value == "twilio")


@pytest.mark.parametrize("table", sorted(one.class_.__name__ for one in Base.registry.mappers))
def test_every_table_is_used_by_something_besides_its_description(table: str):
    others = (p for p in SOURCES if p.parent != ROOT / "nudges/models")
    assert any(re.search(rf"\b{table}\b", path.read_text(encoding="utf-8")) for path in others)
