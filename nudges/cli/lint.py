"""`python -m nudges lint`: hold sequences and texts to the language rules. `schema`: their JSON Schema, for editors."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

import click

from nudges.clock import SystemClock
from schedules import catalog
from schedules.lint import lint as linter
from schedules.lint import schema as sequence_schema
from schedules.lint.findings import Finding

_COLOURS: Final = {"error": "red", "warning": "yellow"}


@click.command()
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line instead of words.")
def lint(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check the library files at PATH (files, or folders of *.yaml); the shipped library without one.

    Exits 1 when there is an error; warnings alone exit 0. docs/authoring.md explains the rules.
    """
    files = list(_files(paths or (catalog.LIBRARY,)))
    if not files:
        raise click.ClickException("no *.yaml file there; name a library file, or a folder that holds some")
    today = SystemClock().now().date()
    findings = [finding for path in files for finding in _check(path, today)]
    for finding in findings:
        click.echo(json.dumps(finding.as_dict(), ensure_ascii=False) if as_json else _in_colour(finding))
    errors = sum(finding.severity == "error" for finding in findings)
    if not as_json:
        click.echo(f"{len(files)} files: {errors} errors, {len(findings) - errors} warnings.")
    sys.exit(1 if errors else 0)


@click.command()
def schema() -> None:
    """Print the JSON Schema of a sequence file, as docs/sequence.schema.json holds it."""
    click.echo(sequence_schema.as_json(), nl=False)


def _files(paths: tuple[Path, ...]) -> Iterator[Path]:
    for path in paths:
        yield from sorted(path.glob("*.yaml")) if path.is_dir() else (path,)


def _check(path: Path, today: date) -> list[Finding]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    return linter.check(text, name=str(path), today=today)


def _in_colour(finding: Finding) -> str:
    words = finding.in_words()
    return words.replace(finding.severity, click.style(finding.severity, fg=_COLOURS[finding.severity]), 1)
