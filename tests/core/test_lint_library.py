"""The shipped library through the product's lint, its schema, its command and its book."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from nudges.book.printing import print_book
from nudges.cli.lint import lint as lint_command
from nudges.cli.lint import schema as schema_command
from nudges.crisis import replies
from schedules import catalog, reader
from schedules.lint import copying, lint, schema
from schedules.lint.rulebook import rulebook
from tests.core.lint_samples import TODAY, findings, sequence, step, tip

ROOT = Path(__file__).parents[2]
FILES = sorted(catalog.LIBRARY.glob("*.yaml"))
SEQUENCES = [path for path in FILES if path.stem not in ("system", "ideas", "faq")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_shipped_library_has_no_finding(path: Path) -> None:
    found = lint.check(path.read_text(encoding="utf-8"), name=path.name, today=TODAY)
    assert [finding.in_words() for finding in found] == []


def test_the_verified_lines_are_those_of_the_crisis_replies() -> None:
    lines = [line.say for country in replies.countries().values() for line in country.lines.values()]
    assert rulebook().words["verified_lines"] <= set(lines)


# ------------------------------------------------------------------ copying


def test_only_hashes_of_the_articles_are_kept() -> None:
    kept = copying.known()
    assert len(kept) > 7000
    assert all(re.fullmatch(r"[0-9a-f]{16}", digest) for digest in kept)


def test_the_script_hashes_the_articles_that_it_is_given(tmp_path: Path) -> None:
    article = tmp_path / "article.txt"
    article.write_text("One two three four five six seven eight.", encoding="utf-8")
    script = [sys.executable, str(ROOT / "scripts" / "hash_articles.py"), str(article)]
    printed = subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()
    assert printed[0].startswith("#")
    assert set(printed[1:]) == copying.hashes("one two three four five six seven eight")
    assert len(printed) == 3


# ------------------------------------------------------------------ the schema


def test_the_exported_schema_is_the_one_in_docs() -> None:
    exported = CliRunner().invoke(schema_command)
    mend = "run `python -m nudges schema > docs/sequence.schema.json`"
    assert exported.output == (ROOT / "docs" / "sequence.schema.json").read_text(encoding="utf-8"), mend


@pytest.mark.parametrize("path", SEQUENCES, ids=lambda path: path.name)
def test_every_sequence_follows_the_schema(path: Path) -> None:
    written = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    jsonschema.Draft202012Validator(schema.build()).validate(written)


@pytest.mark.parametrize(
    "bad",
    [
        step(kind="shout"),
        step(when=[]),
        step(then=["do something nice"]),
        step(answers={"yes": {"means": "so", "then": ["next"]}}),
        step(text={"fr": "Bonjour"}),
        step(lint_allow=[{"rule": "LOCK-1", "reason": "because"}]),
        step(lint_allow=[{"rule": "SEG", "reason": "because", "reviewer": "A. Reader"}]),
    ],
    ids=["kind", "moment", "effect", "answer", "language", "no reviewer", "a rule nobody may lift"],
)
def test_the_schema_refuses_what_the_lint_refuses(bad: dict[str, object]) -> None:
    written = yaml.load(sequence(bad), Loader=yaml.BaseLoader)
    assert not jsonschema.Draft202012Validator(schema.build()).is_valid(written)
    assert [f for f in findings(bad) if f.severity == "error"]


def test_the_schema_knows_the_same_keys_as_the_catalog() -> None:
    exported = schema.build()
    for keys, known in (
        (exported["properties"], reader.TOP_KEYS),
        (exported["$defs"]["step"]["properties"], reader.STEP_KEYS),
        (exported["$defs"]["variant"]["properties"]["for"]["properties"], reader.VARIANT_KEYS),
    ):
        assert set(keys) == set(known)


# ------------------------------------------------------------------ the command


def test_the_command_checks_the_shipped_library_without_a_path() -> None:
    result = CliRunner().invoke(lint_command)
    assert result.exit_code == 0
    assert result.output.splitlines()[-1] == f"{len(FILES)} files: 0 errors, 0 warnings."


def test_the_command_exits_1_on_errors_and_prints_each_as_json(tmp_path: Path) -> None:
    bad = tmp_path / "zest.yaml"
    bad.write_text(sequence(tip(en="They have to go soon.")), encoding="utf-8")
    result = CliRunner().invoke(lint_command, [str(tmp_path), "--json"])
    printed = [json.loads(line) for line in result.output.splitlines()]
    assert result.exit_code == 1
    [found] = [row for row in printed if row["rule"] == "COERCE-1"]
    assert found["file"] == str(bad) and found["line"] > 1
    assert set(found) == {"file", "line", "rule", "severity", "where", "message", "tripped", "suggestion"}


def test_the_command_exits_0_on_warnings_alone(tmp_path: Path) -> None:
    (tmp_path / "zest.yaml").write_text(sequence(tip(en="Your son may like a walk.")), encoding="utf-8")
    result = CliRunner().invoke(lint_command, [str(tmp_path)])
    assert result.exit_code == 0
    assert "warning NEUTRAL-1" in result.output


def test_a_folder_without_files_is_an_error_that_says_so(tmp_path: Path) -> None:
    result = CliRunner().invoke(lint_command, [str(tmp_path)])
    assert result.exit_code == 1
    assert "no *.yaml file" in result.output


# ------------------------------------------------------------------ the guide and the book


def test_the_guide_explains_every_rule() -> None:
    guide = (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")
    assert [rule for rule in rulebook().advice if f"`{rule}`" not in guide] == []


def test_the_worked_sequence_of_the_guide_has_no_finding() -> None:
    guide = (ROOT / "docs" / "authoring.md").read_text(encoding="utf-8")
    [worked] = re.findall(r"```yaml\n(key: .*?)```", guide, re.DOTALL)
    assert lint.check(worked, name="worked.yaml", today=TODAY) == []


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")
    print_book(folder, printed_on=date(2026, 11, 22))
    return folder


def test_the_book_has_a_page_for_each_sequence_and_an_index_that_leads_to_it(book: Path) -> None:
    index = (book / "index.html").read_text(encoding="utf-8")
    for path in FILES:
        assert (book / path.name).with_suffix(".html").exists()
        assert f'href="{path.stem}.html"' in index


def test_the_book_shows_every_variant_with_its_readers_and_its_cost(book: Path) -> None:
    page = (book / "talk.html").read_text(encoding="utf-8")
    assert "read by: age 9-12; age not known" in page
    assert "With a teen, feelings come first." in page
    assert page.count('class="bubble" lang="es"') == page.count('class="bubble" lang="en"') > 20
    assert "at most 1 part, 89 septets" in page


def test_no_variant_of_the_library_is_read_by_no_family(book: Path) -> None:
    unread = [page.name for page in book.glob("*.html") if "read by: no family" in page.read_text(encoding="utf-8")]
    assert unread == []


def test_the_book_says_when_a_sign_off_is_only_a_demo(book: Path) -> None:
    for path in SEQUENCES:
        assert "Demo sign-off only" in (book / path.name).with_suffix(".html").read_text(encoding="utf-8")
    assert "signed off by a clinician" in (book / "aftercrisis.html").read_text(encoding="utf-8")
    assert "signed off by a family lawyer" in (book / "faq.html").read_text(encoding="utf-8")
