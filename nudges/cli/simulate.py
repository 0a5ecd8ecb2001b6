"""`python -m nudges simulate`: what one family would be sent, from the functions that plan real texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import track
from rich.table import Table

from nudges import languages
from nudges.crisis import replies
from nudges.crisis.screen import screen as screen_text
from nudges.crisis.values import Level
from nudges.inbound import intents
from schedules import catalog, picture, policy, policy_file, script
from schedules import simulate as calendar
from schedules.values import Thread

_COUNTRY: Final = "US"


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The files of one run, read and checked."""

    family: script.Family
    sequences: tuple[str, ...]
    acts: tuple[script.Act, ...]
    policy: policy.Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to simulate, as asked for on the command line."""

    start: str
    days: int
    keys: str
    script: Path | None
    policy: Path | None
    lag: float = 0

    def first(self, inputs: Inputs) -> datetime:
        """The first instant, in the family's zone."""
        return script.instant(self.start, inputs.family.profile.timezone)[0]


@click.command()
@click.option("--profile", "profile_path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--families",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of profiles instead of one: prints a table of all of them.",
)
@click.option("--sequence", "sequence_keys", default="", help="Keys, separated by commas, such as TALK,CARE.")
@click.option("--start", required=True, help="First instant, such as 2025-03-03T09:00 (the family's wall time).")
@click.option("--days", type=click.IntRange(1, 3660), required=True)
@click.option("--script", "script_path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--policy", "policy_path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--lag", type=click.FloatRange(0, 3600), default=0, help="Seconds that every look comes too late.")
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path), help="Draw each year into this folder.")
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")
def simulate(
    profile_path: Path | None,
    families: Path | None,
    sequence_keys: str,
    start: str,
    days: int,
    script_path: Path | None,
    policy_path: Path | None,
    lag: float,
    pictures: Path | None,
    as_json: bool,
) -> None:
    """Simulate the texts of one family, or of a folder of families, over DAYS days; see docs/simulate.md."""
    if (profile_path is None) == (families is None):
        raise click.UsageError("give either --profile FILE or --families DIR")
    request = Request(start=start, days=days, keys=sequence_keys, script=script_path, policy=policy_path, lag=lag)
    try:
        if families is not None:
            _table(families, request, pictures)
        elif profile_path is not None:
            _one(profile_path, request, pictures, as_json=as_json)
    except (script.ScriptError, policy_file.PolicyError) as error:
        raise click.ClickException("\n".join(error.faults)) from None
    except (ValueError, KeyError) as error:
        raise click.ClickException(str(error)) from None


def _one(path: Path, request: Request, pictures: Path | None, *, as_json: bool) -> None:
    inputs = _read(path, request.keys, request.script, request.policy)
    events = _events(inputs, request.first(inputs), request.days, request.lag)
    if pictures is not None:
        events = iter(_drawn(path, inputs, request, list(events), pictures))
    for event in events:
        click.echo(json.dumps(event, ensure_ascii=False) if as_json else _line(event))


def _table(folder: Path, request: Request, pictures: Path | None) -> None:
    """All profiles of a folder, with a progress bar, and what each family would get."""
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ValueError(f"{folder} holds no .yaml profile")
    table = Table("family", "texts", "questions", "talks", "dropped", "staff tasks", "holds", box=None)
    for path in track(paths, description="Simulating", console=Console(stderr=True)):
        inputs = _read(path, request.keys, request.script, request.policy)
        events = list(_events(inputs, request.first(inputs), request.days, request.lag))
        if pictures is not None:
            _drawn(path, inputs, request, events, pictures)
        table.add_row(path.stem, *(str(n) for n in _counts(events)))
    Console().print(table)


def _counts(events: list[dict[str, Any]]) -> tuple[int, ...]:
    sent = [e for e in events if e["event"] == "send" and "reply_to" not in e]
    asked = [e for e in sent if e["kind"] in ("checkin", "followup", "gate")]
    return (
        len(sent),
        len(asked),
        len([e for e in sent if e["kind"] == "talk"]),
        len([e for e in events if e["event"] in ("drop", "expire")]),
        len([e for e in events if e["event"] == "staff"]),
        len([e for e in events if e["event"] == "hold"]),
    )


def _drawn(
    path: Path, inputs: Inputs, request: Request, events: list[dict[str, Any]], pictures: Path
) -> list[dict[str, Any]]:
    thread = Thread(profile=inputs.family.profile, key_dates=inputs.family.key_dates)
    drawn = picture.year(events, thread, inputs.policy, start=request.first(inputs), days=request.days)
    pictures.mkdir(parents=True, exist_ok=True)
    (pictures / f"{path.stem}.svg").write_text(drawn, encoding="utf-8")
    return events


def _read(profile_path: Path, keys: str, script_path: Path | None, policy_path: Path | None) -> Inputs:
    family = script.family(profile_path.read_text(encoding="utf-8"), where=profile_path.name)
    zone = family.profile.timezone
    acts: tuple[script.Act, ...] = ()
    if script_path is not None:
        acts = script.script(
            script_path.read_text(encoding="utf-8"), zone, where=script_path.name, steps=_library().step_ids
        )
    overrides: Any = {}
    if policy_path is not None:
        overrides = script.load_text(policy_path.read_text(encoding="utf-8"), where=policy_path.name) or {}
    sequences = tuple(key.strip() for key in keys.split(",") if key.strip()) or family.sequences
    where = policy_path.name if policy_path else "policy"
    return Inputs(family=family, sequences=sequences, acts=acts, policy=policy_file.parse(overrides, where=where))


def _events(inputs: Inputs, start: datetime, days: int, lag: float = 0) -> Iterator[dict[str, Any]]:
    library = _library()
    unknown = [key for key in inputs.sequences if key not in library.sequences]
    if unknown or not inputs.sequences:
        known = ", ".join(sorted(library.sequences))
        if not unknown:
            raise ValueError(f"no sequence given (--sequence, or `sequences:`); the library has {known}")
        near = script.nearest(unknown[0], library.sequences)
        raise ValueError(f"no sequence {unknown[0]!r}{near}; the library has {known}")
    thread = Thread(profile=inputs.family.profile, key_dates=inputs.family.key_dates)
    lang = inputs.family.profile.pref_lang
    return calendar.run(
        thread,
        library=library,
        sequences=inputs.sequences,
        policy=inputs.policy,
        start=start,
        days=days,
        script=inputs.acts,
        screen=lambda text: _danger(text, lang),
        leaves=intents.leaves,
        lag=timedelta(seconds=lag),
    )


@lru_cache(maxsize=1)
def _library() -> catalog.Library:
    return catalog.load_library()


def _danger(text: str, lang: str) -> calendar.Danger | None:
    """The real crisis screen and the real reply."""
    screening = screen_text(text)
    if screening.level is Level.ORDINARY:
        return None
    return calendar.Danger(
        level=screening.level.value,
        tier=screening.tier.value if screening.tier else None,
        why=screening.why,
        reply=replies.reply(screening, lang=languages.texts_for(lang), country=_COUNTRY, alerted=True),
    )


def _line(event: dict[str, Any]) -> str:
    words = event.get("text") or event["reason"]
    return f"{event['local'][:16]}  {event['event']:<8} {event.get('step') or '':<6} {' '.join(str(words).split())}"
