"""`python -m nudges simulate`: what one family would be sent, from the functions that plan real texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from nudges.crisis import replies
from nudges.crisis.screen import screen as screen_text
from nudges.crisis.values import Level
from schedules import catalog, policy, script
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


@click.command()
@click.option("--profile", "profile_path", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True)
@click.option("--sequence", "sequence_keys", default="", help="Keys, separated by commas, such as TALK,CARE.")
@click.option("--start", required=True, help="First instant, such as 2025-03-03T09:00 (the family's wall time).")
@click.option("--days", type=click.IntRange(1, 3660), required=True)
@click.option("--script", "script_path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--policy", "policy_path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="JSON lines instead of a table.")
def simulate(
    profile_path: Path,
    sequence_keys: str,
    start: str,
    days: int,
    script_path: Path | None,
    policy_path: Path | None,
    as_json: bool,
) -> None:
    """Simulate one family's texts over DAYS days; see docs/simulate.md for the files and the events."""
    try:
        inputs = _read(profile_path, sequence_keys, script_path, policy_path)
        first, _ = script.instant(start, inputs.family.profile.timezone)
        events = _events(inputs, first, days)
    except (script.ScriptError, policy.PolicyError) as error:
        raise click.ClickException("\n".join(error.faults)) from None
    except (ValueError, KeyError) as error:
        raise click.ClickException(str(error)) from None
    for event in events:
        click.echo(json.dumps(event, ensure_ascii=False) if as_json else _line(event))


def _read(profile_path: Path, keys: str, script_path: Path | None, policy_path: Path | None) -> Inputs:
    family = script.family(profile_path.read_text(encoding="utf-8"), where=profile_path.name)
    zone = family.profile.timezone
    acts: tuple[script.Act, ...] = ()
    if script_path is not None:
        acts = script.script(script_path.read_text(encoding="utf-8"), zone, where=script_path.name)
    overrides: Any = {}
    if policy_path is not None:
        overrides = script.load_text(policy_path.read_text(encoding="utf-8"), where=policy_path.name) or {}
    sequences = tuple(key.strip() for key in keys.split(",") if key.strip()) or family.sequences
    where = policy_path.name if policy_path else "policy"
    return Inputs(family=family, sequences=sequences, acts=acts, policy=policy.parse(overrides, where=where))


def _events(inputs: Inputs, start: Any, days: int) -> Iterator[dict[str, Any]]:
    library = catalog.load_library()
    unknown = [key for key in inputs.sequences if key not in library.sequences]
    if unknown or not inputs.sequences:
        known = ", ".join(sorted(library.sequences))
        wrong = f"no sequence {unknown[0]!r}" if unknown else "no sequence given (--sequence, or `sequences:`)"
        raise ValueError(f"{wrong}; the library has {known}")
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
    )


def _danger(text: str, lang: str) -> calendar.Danger | None:
    """The real crisis screen and the real reply."""
    screening = screen_text(text)
    if screening.level is Level.ORDINARY:
        return None
    return calendar.Danger(
        level=screening.level.value,
        tier=screening.tier.value if screening.tier else None,
        why=screening.why,
        reply=replies.reply(screening, lang="es" if lang == "es" else "en", country=_COUNTRY, alerted=True),
    )


def _line(event: dict[str, Any]) -> str:
    words = event.get("text") or event["reason"]
    return f"{event['local'][:16]}  {event['event']:<8} {event.get('step') or '':<6} {' '.join(str(words).split())}"
