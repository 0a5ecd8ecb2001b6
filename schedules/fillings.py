"""The values that placeholders stand for, as far as the thread itself knows them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta

from schedules import localtime, windows
from schedules.catalog import Idea
from schedules.policy import Policy
from schedules.values import Anchor, Choice, Kind, Profile, Proposal, Send, Texts, Thread

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
    proposal: Proposal | None = None,
) -> dict[str, str]:
    """{day}, {time}, {idea} and {w1} to {w4}, each only when there is one.

    `session_at`: the session that the text is about; without it the next one. `wanted`: what the text asks for, when
    that is known: an idea and windows are looked for in vain otherwise. `proposal`: the planned text whose words these
    are; its idea and the windows that its question offers were chosen with it.
    """
    profile = thread.profile
    found: dict[str, str] = {}
    session_at = session_at or next_session(thread, now)
    if session_at is not None:
        shown = localtime.local(session_at, profile.timezone)
        found |= {"day": day_words(shown.date(), profile.pref_lang), "time": clock_words(shown.time())}
    if "idea" in wanted:
        chosen = proposal.idea if proposal is not None else None
        idea = next((one for one in ideas if one.id == chosen), None) or next_idea(thread, ideas, now)
        if idea is not None:
            found["idea"] = in_language(idea.texts, profile)
    return found if _WINDOWS.isdisjoint(wanted) else found | _windows(thread, policy, now, proposal)


def _windows(thread: Thread, policy: Policy, now: datetime, proposal: Proposal | None) -> dict[str, str]:
    """The windows that the open question of this text offers; of a text that is only shown, those that it would."""
    question = thread.pace.question
    if (
        proposal is not None
        and question is not None
        and (question.step, question.cycle)
        == (
            proposal.step,
            proposal.cycle,
        )
    ):
        shown = question.choices
    else:
        offered = windows.offered(thread, policy, now)
        shown = tuple(Choice(day=w.day, start=w.start, end=w.end) for w in offered)
    today = localtime.local_date(now, thread.profile.timezone)
    return {f"w{n}": _window_words(choice, today, thread.profile.pref_lang) for n, choice in enumerate(shown, start=1)}


def _window_words(choice: Choice, today: date, lang: str) -> str:
    """Such as "tonight 7:30 pm", or "Saturday 10:30 am"."""
    wall = time(choice.start // 60 % 24, choice.start % 60)
    if choice.day == today:
        return f"{_TODAY[lang][choice.start >= _EVENING]} {clock_words(wall)}"
    if (choice.day - today).days >= 7:  # its weekday alone would mean this week's
        return f"{date_words(choice.day, lang)} {clock_words(wall)}"
    return f"{day_words(choice.day, lang)} {clock_words(wall)}"


_TODAY: Mapping[str, tuple[str, str]] = {"en": ("today", "tonight"), "es": ("hoy", "esta noche")}
_EVENING = 17 * 60


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


def next_idea(thread: Thread, ideas: Sequence[Idea], now: datetime, *, days: int = 90) -> Idea | None:
    """The family's next idea: of its rung of the ladder, else of the nearest lower one, else of the next higher
    (PR-22), none that it had in the last `days`. The one that is longest ago comes first; none when all are too fresh.
    """
    pace = thread.pace
    since = now - timedelta(days=days)
    fresh = [i for i in ideas if _fits(i, thread.profile) and pace.ideas.get(i.id, _NEVER) <= since]
    if not fresh:
        return None
    lower = [i.rung for i in fresh if i.rung <= pace.rung]
    rung = max(lower) if lower else min(i.rung for i in fresh)
    pool = [i for i in fresh if i.rung == rung]
    if pace.short_ideas:
        least = min(i.minutes for i in pool)
        pool = [i for i in pool if i.minutes == least]
    return min(pool, key=lambda idea: (pace.ideas.get(idea.id, _NEVER), idea.id))


_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


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
