"""What has gone out lately and what it forbids: caps, gaps, silence. Values in, values out.

Sources: content.md §2.1 (cap.*, ladder.silence, volume), PR-07, PR-15, PR-27; simulate readings 3, 4, 9, 12.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import Any

from schedules import localtime
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.values import Budget, Enrollment, Kind, Limit, Mark, Pace, Proposal, Sequence, Step, Thread, Traits

_KEEP = timedelta(days=57)  # twice the longest look-back (28 days, doubled by silence) and a day
_AT = attrgetter("at")
_LONGEST_DAY = timedelta(hours=26)
_YEAR = timedelta(days=365)


def is_counted(step: Step) -> bool:
    """Does a sent text count in the caps? Direct replies, the sign-up exchange and answers to a report do not."""
    return not step.uncounted and step.kind not in (Kind.REPLY, Kind.ASK, Kind.SYSTEM)


def counted(pace: Pace) -> tuple[Mark, ...]:
    """The marks that caps look at, oldest first (`remember` keeps them so)."""
    return tuple(m for m in pace.marks if m.counted)


def remember(pace: Pace, mark: Mark) -> Pace:
    """The pace with `mark` added and everything too old to matter forgotten: history stays bounded."""
    since = mark.at - _KEEP
    kept = [m for m in pace.marks if m.at > since]
    talk_at = mark.at if mark.kind is Kind.TALK else pace.last_talk_at
    pace = replace(pace, marks=tuple(sorted((*kept, mark), key=_AT)), last_talk_at=talk_at)
    if mark.kind is Kind.SYSTEM and pace.welcomed_at is None:
        pace = replace(pace, welcomed_at=mark.at)
    return _said(pace, mark)


def _said(pace: Pace, mark: Mark) -> Pace:
    """What was said is remembered for a year: the next sending has other words, comfort has a limit."""
    said = {
        step: recent
        for step, all_at in pace.said.items()
        if (recent := tuple(at for at in all_at if at > mark.at - _YEAR))
    }
    said[mark.step] = (*said.get(mark.step, ()), mark.at)
    return replace(pace, said=said)


def had_idea(pace: Pace, idea: str, at: datetime) -> Pace:
    """The pace that remembers an idea as sent."""
    return replace(pace, ideas={**pace.ideas, idea: at})


def said_within_a_year(pace: Pace, step_id: str, at: datetime) -> int:
    """How many times this parent has had the comfort words of a step in the 365 days before `at`."""
    return sum(1 for one in pace.said.get(step_id, ()) if one > at - _YEAR)


def forget(pace: Pace, proposal: Proposal) -> Pace:
    """The pace as if the text had never gone: it was planned, but could not be handed over."""
    named = (proposal.sequence, proposal.step, proposal.cycle)
    gone = [m for m in pace.marks if (m.sequence, m.step, m.cycle) == named]
    kept = tuple(m for m in pace.marks if m not in gone)
    talks = [m.at for m in kept if m.kind is Kind.TALK]
    gone_at = {m.at for m in gone}
    said = {k: tuple(at for at in v if k != proposal.step or at not in gone_at) for k, v in pace.said.items()}
    welcomed = pace.welcomed_at
    if proposal.kind is Kind.SYSTEM and not any(m.kind is Kind.SYSTEM for m in kept):
        welcomed = None  # nobody knows who writes: nothing goes before another welcome
    return replace(
        pace,
        marks=kept,
        last_talk_at=max(talks, default=None) if proposal.kind is Kind.TALK else pace.last_talk_at,
        said={step: all_at for step, all_at in said.items() if all_at},
        ideas={key: at for key, at in pace.ideas.items() if key != proposal.idea},
        welcomed_at=welcomed,
    )


def without_future(pace: Pace, now: Minute) -> Pace:
    """The pace without instants that cannot have been: a clock that stood ahead wrote them, and was put right.

    What went or was asked while it stood ahead went by now at the latest. Nothing else is touched; the same value when
    there is nothing to mend.
    """
    mended: dict[str, Any] = {name: now for name in _PAST if (at := getattr(pace, name)) is not None and at > now}
    if any(mark.at > now for mark in pace.marks):
        mended["marks"] = tuple(replace(mark, at=min(mark.at, now)) for mark in pace.marks)
    if any(at > now for all_at in pace.said.values() for at in all_at):
        mended["said"] = {step: tuple(min(at, now) for at in all_at) for step, all_at in pace.said.items()}
    for name in ("ideas", "told"):
        known = getattr(pace, name)
        if any(at > now for at in known.values()):
            mended[name] = {key: min(at, now) for key, at in known.items()}
    for name in ("question", "lapsed_question"):
        question = getattr(pace, name)
        if question is not None and question.asked_at > now:
            mended[name] = replace(question, asked_at=now, until=now + (question.until - question.asked_at))
    return replace(pace, **mended) if mended else pace


# What has happened; all other instants of a pace lie ahead.
_PAST = (
    "last_talk_at",
    "last_conflict_at",
    "silence_since",
    "stay_asked_at",
    "paused_at",
    "notice_at",
    "hours_told_at",
    "welcomed_at",
    "goodbye_at",
)


# ---------------------------------------------------------------- silence


def settled(thread: Thread, policy: Policy, now: datetime) -> Thread:
    """The thread at `now`: a question whose time is over has lapsed, and its silence is counted.

    Silence is never read as an answer: all it does is slow the pace.
    """
    pace = thread.pace
    question = pace.question
    if question is None or now < question.until:
        return thread
    silent = pace.silence_count + 1 if question.counts_as_silence else pace.silence_count
    since = pace.silence_since
    if silent >= policy.silence_halve_after and since is None:
        since = question.until
    pace = replace(pace, question=None, lapsed_question=question, silence_count=silent, silence_since=since)
    return replace(thread, pace=pace)


def heard(pace: Pace) -> Pace:
    """The parent has answered something: the silence is over."""
    return replace(pace, silence_count=0, silence_since=None, stay_asked_at=None)


def stretch(pace: Pace, policy: Policy) -> int:
    """The factor on intervals while a parent is silent."""
    return 2 if pace.silence_count >= policy.silence_halve_after else 1


def stretched_length(enrollment: Enrollment, thread: Thread, policy: Policy, days: int) -> int:
    """The days of a sequence's length at the pace that it really has."""
    factor = 2 if enrollment.facts.get("stretch") else 1
    if not enrollment.sequence.traits.keeps_pace:
        factor *= stretch(thread.pace, policy)
    return days * factor


def is_monthly(pace: Pace, policy: Policy) -> bool:
    return pace.silence_count >= policy.silence_monthly_after


def slows_in_silence(sequence: Sequence, step: Step) -> bool:
    """Comfort slows down; events, safety and sequences that keep their pace do not."""
    return sequence.budget_of(step) is Budget.COMFORT and not sequence.traits.keeps_pace


def _slows(proposal: Proposal, traits: Traits) -> bool:
    return proposal.budget is Budget.COMFORT and not traits.keeps_pace


# ---------------------------------------------------------------- caps: the first instant that each one allows


def day_allows(thread: Thread, policy: Policy, at: datetime) -> datetime | None:
    """None when no text has gone out on that local date, else the next local midnight."""
    marks = counted(thread.pace)
    if not marks or at - marks[-1].at >= _LONGEST_DAY:
        return None  # nearly always: the last text went out some days ago
    zone = thread.profile.timezone
    day = localtime.local_date(at, zone)
    near = [m for m in marks if abs(m.at - at) < _LONGEST_DAY]
    today = [m for m in near if localtime.local_date(m.at, zone) == day]
    if len(today) < policy.cap_day:
        return None
    return localtime.at_minute(day + timedelta(days=1), 0, zone)


def week_limit(thread: Thread, policy: Policy) -> int:
    """How many comfort texts the rolling week may hold for this parent, all sequences together."""
    limit = {"less": policy.volume_less_week, "more": policy.volume_more_week}.get(_volume(thread), policy.cap_week)
    return min(limit, policy.cap_week)


def _is_lowered(thread: Thread, at: datetime) -> bool:
    """Does strain lower the volume of everything but what eases it (PR-27)?"""
    until = thread.pace.lower_until
    return (until is not None and at < until) or bool(_easing(thread))


def _easing(thread: Thread) -> frozenset[str]:
    return frozenset(e.sequence.key for e in thread.enrollments if e.sequence.traits.eases_others)


def _volume(thread: Thread) -> str:
    return thread.pace.volume if thread.pace.volume != "normal" else thread.profile.volume


def week_allows(thread: Thread, policy: Policy, proposal: Proposal, at: datetime, traits: Traits) -> datetime | None:
    """None when the rolling 7 × 24 h have room in the text's own budget, else the instant at which they will."""
    own = [m for m in counted(thread.pace) if m.budget is proposal.budget]
    if proposal.budget is Budget.EVENT:
        return _rolling([m.at for m in own], policy.event_week, policy.cap_week_days, at)
    days = policy.cap_week_days
    if _slows(proposal, traits):
        days *= stretch(thread.pace, policy)
    limit = week_limit(thread, policy)
    if not own or at - own[-1].at >= timedelta(days=days):
        return None
    free = [_rolling([m.at for m in own], limit, days, at)]
    if not traits.eases_others and _is_lowered(thread, at):
        easing = _easing(thread)
        others = [m.at for m in own if m.sequence not in easing]
        free.append(_rolling(others, max(limit - policy.care_lowers_by, 1), days, at))
    return max((instant for instant in free if instant is not None), default=None)


def _rolling(sent: list[datetime], limit: int, days: int, at: datetime) -> datetime | None:
    """None when fewer than `limit` instants lie in the `days` × 24 h before `at`, else when that will be so."""
    span = timedelta(days=days)
    since = at - span
    recent = [instant for instant in sent if since < instant <= at]
    return None if len(recent) < limit else recent[-limit] + span


def gap_allows(thread: Thread, policy: Policy, proposal: Proposal, at: datetime, traits: Traits) -> datetime | None:
    """None when the last text is 44 h old (or 28 days, in a monthly silence), else the instant at which it is."""
    marks = counted(thread.pace)
    if not marks or proposal.budget is not Budget.COMFORT:
        return None
    slow = _slows(proposal, traits)
    if slow and is_monthly(thread.pace, policy):
        zone = thread.profile.timezone
        last = localtime.local_date(marks[-1].at, zone)
        free = localtime.at_minute(last + timedelta(days=policy.silence_monthly_days), 0, zone)
        return free if at < free else None
    if proposal.asked_again or traits.no_gap:
        return None
    if proposal.pending is not None and proposal.pending.chosen is not None:
        return None  # the hour that the parent chose needs no distance from the text that offered it
    hours = policy.gap_hours * (stretch(thread.pace, policy) if slow else 1)
    free = marks[-1].at + timedelta(hours=hours)
    return free if at < free else None


def sequence_allows(
    thread: Thread, policy: Policy, proposal: Proposal, enrollment: Enrollment, at: datetime
) -> datetime | None:
    """None when the sequence's own limit has room, else when it will.

    Gates, talk-closing questions and second askings are free.
    """
    sequence = enrollment.sequence
    if proposal.asked_again or _is_beside_limit(proposal.kind, proposal.closes_talk, sequence):
        return None
    shared = _sharing(thread, sequence)
    limit, since = _limit_on(thread, enrollment, at)
    sent = [
        m
        for m in counted(thread.pace)
        if m.sequence in shared
        and not m.asked_again
        and not _is_beside_limit(m.kind, m.closes_talk, sequence)
        and (since is None or m.at >= since)
    ]
    factor = stretch(thread.pace, policy) if _slows(proposal, sequence.traits) else 1
    factor *= 2 if enrollment.facts.get("stretch") else 1
    if limit.count == 1:
        return _slot_free(thread, policy, limit, sent, factor, at)
    return _rolling_wall(thread, [m.at for m in sent], limit.count, limit.days * factor, at)


def _rolling_wall(thread: Thread, sent: list[datetime], limit: int, days: int, at: datetime) -> datetime | None:
    """As `_rolling`, but on the wall clock: a text every week at the same local time stays so over a clock change."""
    if len(sent) < limit:
        return None
    free = localtime.plus_wall(sent[-limit], thread.profile.timezone, days=days)
    return free if at < free else None


def _limit_on(thread: Thread, enrollment: Enrollment, at: datetime) -> tuple[Limit, datetime | None]:
    """The sequence's limit at `at`, and since when it holds: each step down counts for itself."""
    sequence, zone = enrollment.sequence, thread.profile.timezone
    if not sequence.thinning:
        return sequence.at_most, None
    kind = sequence.traits.counts_from
    start = next((k.at for k in thread.key_dates if k.kind == kind), enrollment.started_at)
    first, today = localtime.local_date(start, zone), localtime.local_date(at, zone)
    passed = [step for step in sequence.thinning if (today - first).days > step.after_day]
    if not passed:
        return sequence.at_most, None
    since = localtime.at_minute(first + timedelta(days=passed[-1].after_day + 1), 0, zone)
    return passed[-1].limit, since


def _is_beside_limit(kind: Kind, closes_talk: bool, sequence: Sequence) -> bool:
    return kind is Kind.GATE or closes_talk or kind.value in sequence.beside_limit


def _sharing(thread: Thread, sequence: Sequence) -> frozenset[str]:
    """The sequences whose texts count in this one's limit: BREAK's one text a week includes the ideas beside it."""
    running = {e.sequence.key for e in thread.enrollments}
    return frozenset({sequence.key, *(sequence.traits.shares_limit & running)})


def _slot_free(
    thread: Thread, policy: Policy, limit: Limit, sent: list[Mark], factor: int, at: datetime
) -> datetime | None:
    """ "1 a week" is one per calendar slot: no two within so many dates (reading 4)."""
    if not sent:
        return None
    zone = thread.profile.timezone
    least = limit.days * factor - (policy.cap_week_days - policy.weekly_slot_days)
    free: date = localtime.local_date(sent[-1].at, zone) + timedelta(days=least)
    return localtime.at_minute(free, 0, zone) if localtime.local_date(at, zone) < free else None
