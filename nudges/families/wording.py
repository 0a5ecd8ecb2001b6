"""The values that placeholders stand for, for one parent at one instant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

from sqlalchemy.orm import Session

from nudges.families import snapshots, staff
from nudges.models.family import Parent
from nudges.models.program import Program
from schedules import localtime, windows
from schedules.catalog import Idea
from schedules.policy import Policy
from schedules.values import Profile, Thread

# Spanish days without the accents that would make every text with a day cost twice (á is not in GSM-7).
DAYS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo"),
}
CHOICES: Final = 4  # calm windows that a parent may choose from
_LOOK_AHEAD_DAYS: Final = 8


def values_for(
    session: Session,
    parent: Parent,
    thread: Thread,
    *,
    now: datetime,
    ideas: Sequence[Idea] = (),
    cycle: int = 1,
) -> dict[str, str]:
    """Every placeholder that has a value. What is missing makes rendering fail by name, never an empty word."""
    program = session.get_one(Program, parent.program_id)
    policy, profile = snapshots.policy_of(program), thread.profile
    found = {"org": program.name, "staff": _first_name(session, parent.family_id)}
    session_at = next_session(thread, now)
    if session_at is not None:
        shown = localtime.local(session_at, profile.timezone)
        found["day"], found["time"] = day_words(shown.date(), profile.pref_lang), clock_words(shown.time())
    idea = idea_for(profile, ideas, cycle)
    if idea is not None:
        found["idea"] = _in_language(idea, profile)
    choices = calm_choices(thread, policy, now)
    found |= {f"w{n}": words for n, words in enumerate(choices, start=1)}
    return {name: words for name, words in found.items() if words}


def next_session(thread: Thread, now: datetime) -> datetime | None:
    """When the next session is, if one is set."""
    coming = (key.at for key in thread.key_dates if key.kind == "session" and key.status == "set" and key.at > now)
    return min(coming, default=None)


def day_words(day: date, lang: str) -> str:
    """The weekday, such as Wednesday."""
    return DAYS[lang][day.weekday()]


def clock_words(wall: time) -> str:
    """The time of day as people text it: 4 pm, 10:30 am. The same in both languages."""
    hour, half = wall.hour % 12 or 12, "am" if wall.hour < 12 else "pm"
    return f"{hour}:{wall.minute:02d} {half}" if wall.minute else f"{hour} {half}"


def calm_choices(thread: Thread, policy: Policy, now: datetime) -> list[str]:
    """Up to four calm times of the coming week, in order, as words to choose from."""
    found: list[str] = []
    for window in _coming_windows(thread, policy, now):
        wall = time(window.start // 60 % 24, window.start % 60)
        words = f"{day_words(window.day, thread.profile.pref_lang)} {clock_words(wall)}"
        if words not in found:
            found.append(words)
        if len(found) == CHOICES:
            break
    return found


def _coming_windows(thread: Thread, policy: Policy, now: datetime) -> Iterator[windows.Window]:
    tomorrow = localtime.local_date(now, thread.profile.timezone) + timedelta(days=1)
    for offset in range(_LOOK_AHEAD_DAYS):
        # One a day, the last: evenings differ between families, and four choices should span the week.
        yield from windows.calm_windows(thread, policy, tomorrow + timedelta(days=offset))[-1:]


def idea_for(profile: Profile, ideas: Sequence[Idea], cycle: int) -> Idea | None:
    """The `cycle`-th idea that fits the family, easiest first, starting over after the last."""
    fitting = [idea for idea in ideas if _fits(idea, profile)]
    fitting.sort(key=lambda idea: (idea.rung, idea.id))
    return fitting[(cycle - 1) % len(fitting)] if fitting else None


def _fits(idea: Idea, profile: Profile) -> bool:
    if idea.ages and profile.age_band is not None and profile.age_band not in idea.ages:
        return False
    if idea.roles and profile.role not in idea.roles:
        return False
    supervised = profile.contact_plan == "supervised" or profile.custody.pattern == "supervised"
    return idea.supervised_ok if supervised else True


def _in_language(idea: Idea, profile: Profile) -> str:
    form = f"discreet_{profile.pref_lang}" if profile.discreet else profile.pref_lang
    return str(getattr(idea.texts, form))


def _first_name(session: Session, family_id: int) -> str:
    counselors = staff.counselors_of(session, family_id)
    return counselors[0].name.split()[0] if counselors else ""
