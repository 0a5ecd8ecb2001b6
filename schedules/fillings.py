"""The values that placeholders stand for, as far as the thread itself knows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, time

from schedules import localtime, windows
from schedules.catalog import Idea
from schedules.policy import Policy
from schedules.values import Anchor, Kind, Profile, Send, Texts, Thread

# One accent is missing: the á of Saturday is not in GSM-7, and would make every text with a day cost twice.
DAYS: Mapping[str, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "es": ("lunes", "martes", "miércoles", "jueves", "viernes", "sabado", "domingo"),
}

MONTHS: Mapping[str, tuple[str, ...]] = {
    "en": tuple("January February March April May June July August September October November December".split()),
    "es": tuple("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()),
}

_WINDOWS = frozenset(("w1", "w2", "w3", "w4"))
LOOKED_FOR = _WINDOWS | {"idea"}  # what costs more than a glance


def of_thread(
    thread: Thread,
    policy: Policy,
    now: datetime,
    *,
    ideas: Sequence[Idea] = (),
    session_at: datetime | None = None,
    wanted: Collection[str] = LOOKED_FOR,
) -> dict[str, str]:
    """{day}, {time}, {idea} and {w1} to {w4}, each only when there is one.

    `session_at`: the session that the text is about; without it the next one. `wanted`: what the text asks for, when
    that is known: an idea and windows are looked for in vain otherwise.
    """
    profile = thread.profile
    found: dict[str, str] = {}
    session_at = session_at or next_session(thread, now)
    if session_at is not None:
        shown = localtime.local(session_at, profile.timezone)
        found |= {"day": day_words(shown.date(), profile.pref_lang), "time": clock_words(shown.time())}
    if "idea" in wanted:
        pace = thread.pace
        idea = idea_for(profile, ideas, pace.ideas_sent, rung=pace.rung, short=pace.short_ideas)
        if idea is not None:
            found["idea"] = in_language(idea.texts, profile)
    return found if _WINDOWS.isdisjoint(wanted) else found | _windows(thread, policy, now)


def _windows(thread: Thread, policy: Policy, now: datetime) -> dict[str, str]:
    found: dict[str, str] = {}
    for n, window in enumerate(windows.offered(thread, policy, now), start=1):
        wall = time(window.start // 60 % 24, window.start % 60)
        found[f"w{n}"] = f"{day_words(window.day, thread.profile.pref_lang)} {clock_words(wall)}"
    return found


def session_of(thread: Thread, sent: Send) -> datetime | None:
    """The very session that a step hangs on; none for a step that hangs on no session to come."""
    enrollment = thread.enrollment(sent.enrollment)
    when = sent.step.when[sent.which] if sent.which < len(sent.step.when) else None
    if enrollment is None or when is None or when.anchor is not Anchor.SESSION or sent.step.kind is not Kind.REMINDER:
        return None
    pending = (p.nth for p in enrollment.agenda if (p.step, p.cycle) == (sent.step.id, sent.cycle))
    nth = next(pending, 0) or when.nth
    return next((k.at for k in thread.key_dates if (k.kind, k.nth, k.status) == ("session", nth, "set")), None)


def next_session(thread: Thread, now: datetime) -> datetime | None:
    """When the next session is, if one is set."""
    coming = (key.at for key in thread.key_dates if key.kind == "session" and key.status == "set" and key.at > now)
    return min(coming, default=None)


def day_words(day: date, lang: str) -> str:
    """The weekday, such as Wednesday."""
    return DAYS[lang][day.weekday()]


def date_words(day: date, lang: str) -> str:
    """A date some weeks off, as people text it: March 13, or 13 de marzo."""
    month = MONTHS[lang][day.month - 1]
    return f"{day.day} de {month}" if lang == "es" else f"{month} {day.day}"


def clock_words(wall: time) -> str:
    """The time of day as people text it: 4 pm, 10:30 am. The same in both languages."""
    hour, half = wall.hour % 12 or 12, "am" if wall.hour < 12 else "pm"
    return f"{hour}:{wall.minute:02d} {half}" if wall.minute else f"{hour} {half}"


def idea_for(profile: Profile, ideas: Sequence[Idea], turn: int, *, rung: int = 1, short: bool = False) -> Idea | None:
    """An idea that fits the family, of its rung of the ladder or the next lower one that has any (PR-22).

    `turn` counts the ideas sent before: they go round. `short`: only the shortest of the rung.
    """
    fitting = [i for i in ideas if _fits(i, profile)]
    if not fitting:
        return None
    within = [i for i in fitting if i.rung <= rung] or fitting
    best = max(i.rung for i in within) if any(i.rung <= rung for i in fitting) else min(i.rung for i in within)
    pool = sorted((i for i in within if i.rung == best), key=lambda idea: idea.id)
    if short:
        least = min(i.minutes for i in pool)
        pool = [i for i in pool if i.minutes == least]
    return pool[turn % len(pool)]


def idea_on_request(thread: Thread, ideas: Sequence[Idea]) -> Idea | None:
    """What the word IDEA brings: the family's next idea, of its own rung. The asking has counted it already."""
    pace = thread.pace
    return idea_for(thread.profile, ideas, max(pace.ideas_sent - 1, 0), rung=pace.rung, short=pace.short_ideas)


def may_have_ideas(profile: Profile) -> bool:
    """Is there contact that an idea may build on? Unknown is not safe for a parent who lives apart (PR-13, PR-22)."""
    if profile.contact_plan == "none" or profile.custody.pattern == "none":
        return False
    flags = (profile.protective_order, profile.abuse_concern, profile.child_fear)
    return profile.role != "other_parent" or (profile.contact_plan is not None and not any(flags))


def _fits(idea: Idea, profile: Profile) -> bool:
    if not may_have_ideas(profile):
        return False
    if idea.ages and profile.age_band is not None and profile.age_band not in idea.ages:
        return False
    if idea.roles and profile.role not in idea.roles:
        return False
    if profile.contact_plan == "remote" and not idea.remote:
        return False
    supervised = profile.contact_plan == "supervised" or profile.custody.pattern == "supervised"
    return idea.supervised_ok if supervised else True


def in_language(texts: Texts, profile: Profile) -> str:
    """The family's one of the four texts."""
    return str(getattr(texts, f"discreet_{profile.pref_lang}" if profile.discreet else profile.pref_lang))
