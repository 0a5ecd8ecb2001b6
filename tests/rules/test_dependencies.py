"""What is declared is what is imported: nothing is installed for nobody, nothing works by a neighbour's kindness."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.conftest import ROOT

OURS = {"nudges", "schedules", "migrations", "tests", "bench", "app"}
TRAINING = ROOT / "nudges/crisis/training"  # fits the crisis model anew; never runs in the service
NEVER_IMPORTED = {"tzdata": "zoneinfo reads it where the system has no time zones"}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(group: str | None = None) -> set[str]:
    """What the service needs, or what a group of tools needs besides."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = project["project"]["dependencies"] if group is None else project["dependency-groups"][group]
    return {normalised(re.match(r"[\w.-]+", line)[0]) for line in lines}


def imported(paths: list[Path]) -> dict[str, Path]:
    """The distributions that these files import, each with a file that does."""
    of_module = packages_distributions()
    found: dict[str, Path] = {}
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for module in {name.split(".")[0] for name in names} - OURS - sys.stdlib_module_names:
                found |= {normalised(name): path for name in of_module.get(module, [module])}
    return found


def sources() -> list[Path]:
    files = (path for folder in ("nudges", "schedules", "migrations") for path in (ROOT / folder).rglob("*.py"))
    return [ROOT / "app.py", *(path for path in files if TRAINING not in path.parents)]


def test_everything_that_the_service_imports_is_declared():
    missing = {
        name: str(path.relative_to(ROOT)) for name, path in imported(sources()).items() if name not in declared()
    }
    assert missing == {}


def test_everything_that_is_declared_is_imported():
    assert declared() - set(imported(sources())) - set(NEVER_IMPORTED) == set()


def test_everything_that_tests_and_benchmarks_import_is_declared():
    files = [path for folder in ("tests", "bench", "scripts") for path in (ROOT / folder).rglob("*.py")]
    found = imported([*files, *TRAINING.rglob("*.py")])
    # threadpoolctl comes with the encoder's extra `fast`, which asks for it by itself.
    assert set(found) - declared() - declared("dev") == {"threadpoolctl"}


@pytest.mark.parametrize(("name", "groups"), [("requirements.txt", [None]), ("requirements-dev.txt", [None, "dev"])])
def test_the_pinned_requirements_hold_everything_that_is_declared(name, groups):
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    wanted = set().union(*(declared(group) for group in groups))
    assert wanted - {normalised(one) for one in pinned} == set()
