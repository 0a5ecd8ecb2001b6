"""What has gone out lately and what it forbids: caps, gaps, silence. Values in, values out.

Sources: content.md §2.1 (cap.*, ladder.silence, volume), PR-07, PR-15, PR-27; simulate readings 3, 4, 9, 12.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

from schedules import localtime
from schedules.policy import Policy
from schedules.values import Kind, Limit, Mark, Pace, Proposal, Sequence, Thread

_KEEP = timedelta(days=57)  # twice the longest look-back (28 days, doubled by silence) and a day
_LOGISTICS = (Kind.FOLLOWUP, Kind.REMINDER)
_BESIDE = ("CARE", "REMIND", "REPAIR", "ONBOARD", "AFTERCRISIS")  # not among the two content sequences


def is_counted(step_id: str, kind: Kind, policy: Policy) -> bool:
    """Does a sent text count in the caps? Direct replies, the sign-up exchange and answers to a report do not."""
    return step_id not in policy.uncounted_steps and kind not in (Kind.REPLY, Kind.ASK, Kind.SYSTEM)


def counted(pace: Pace) -> tuple[Mark, ...]:
    """The marks that caps look at, oldest first whatever their order in storage."""
    return tuple(sorted((m for m in pace.marks if m.counted), key=lambda m: m.at))


def remember(pace: Pace, mark: Mark) -> Pace:
    """The pace with `mark` added and everything too old to matter forgotten: history stays bounded."""
    kept = tuple(m for m in pace.marks if m.at > mark.at - _KEEP)
    talk_at = mark.at if mark.kind is Kind.TALK else pace.last_talk_at
    return replace(pace, marks=tuple(sorted((*kept, mark), key=lambda m: m.at)), last_talk_at=talk_at)


def forget(pace: Pace, proposal: Proposal) -> Pace:
    """The pace as if the text had never gone: it was planned, but could not be handed over."""
    kept = tuple(
        m for m in pace.marks if (m.sequence, m.step, m.cycle) != (proposal.sequence, proposal.step, proposal.cycle)
    )
    talks = [m.at for m in kept if m.kind is Kind.TALK]
    last = max(talks) if talks else None
    return replace(pace, marks=kept, last_talk_at=last if proposal.kind is Kind.TALK else pace.last_talk_at)


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


def is_monthly(pace: Pace, policy: Policy) -> bool:
    return pace.silence_count >= policy.silence_monthly_after


def slows_in_silence(sequence: str, kind: Kind) -> bool:
    """Session logistics and AFTERCRISIS keep their pace; all other content slows down."""
    return kind not in _LOGISTICS and sequence != "AFTERCRISIS"


# ---------------------------------------------------------------- caps: the first instant that each one allows


def day_allows(thread: Thread, policy: Policy, at: datetime) -> datetime | None:
    """None when no text has gone out on that local date, else the next local midnight."""
    zone = thread.profile.timezone
    day = localtime.local_date(at, zone)
    today = [m for m in counted(thread.pace) if localtime.local_date(m.at, zone) == day]
    if len(today) < policy.cap_day:
        return None
    return localtime.at_minute(day + timedelta(days=1), 0, zone)


def week_limit(thread: Thread, policy: Policy, proposal: Proposal, at: datetime) -> int:
    """How many texts the rolling week may hold for this parent."""
    limit = {"less": policy.volume_less_week, "more": policy.volume_more_week}.get(_volume(thread), policy.cap_week)
    limit = min(limit, policy.cap_week)
    lowered = thread.pace.lower_until is not None and at < thread.pace.lower_until
    if (lowered or thread.in_sequence("CARE")) and proposal.sequence != "CARE":
        limit -= policy.care_lowers_by
    return max(limit, 1)


def _volume(thread: Thread) -> str:
    return thread.pace.volume if thread.pace.volume != "normal" else thread.profile.volume


def week_allows(thread: Thread, policy: Policy, proposal: Proposal, at: datetime) -> datetime | None:
    """None when the rolling 7 × 24 h have room, else the instant at which they will."""
    days = policy.cap_week_days
    if slows_in_silence(proposal.sequence, proposal.kind):
        days *= stretch(thread.pace, policy)
    limit = week_limit(thread, policy, proposal, at)
    return _rolling([m.at for m in counted(thread.pace)], limit, days, at)


def _rolling(sent: list[datetime], limit: int, days: int, at: datetime) -> datetime | None:
    """None when fewer than `limit` instants lie in the `days` × 24 h before `at`, else when that will be so."""
    span = timedelta(days=days)
    recent = [instant for instant in sent if at - span < instant <= at]
    return None if len(recent) < limit else recent[-limit] + span


def gap_allows(thread: Thread, policy: Policy, proposal: Proposal, at: datetime) -> datetime | None:
    """None when the last text is 44 h old (or 28 days, in a monthly silence), else the instant at which it is."""
    marks = counted(thread.pace)
    if not marks:
        return None
    slow = slows_in_silence(proposal.sequence, proposal.kind)
    if slow and is_monthly(thread.pace, policy):
        zone = thread.profile.timezone
        last = localtime.local_date(marks[-1].at, zone)
        free = localtime.at_minute(last + timedelta(days=policy.silence_monthly_days), 0, zone)
        return free if at < free else None
    if _is_exempt_from_gap(proposal):
        return None
    hours = policy.gap_hours * (stretch(thread.pace, policy) if slow else 1)
    free = marks[-1].at + timedelta(hours=hours)
    return free if at < free else None


def _is_exempt_from_gap(proposal: Proposal) -> bool:
    again = proposal.step in ("AC-2", "AC-5") and proposal.cycle > 1
    return proposal.kind in _LOGISTICS or proposal.sequence == "REPAIR" or proposal.closes_talk or again


def sequence_allows(
    thread: Thread, policy: Policy, proposal: Proposal, sequence: Sequence, at: datetime
) -> datetime | None:
    """None when the sequence's own limit has room, else when it will. Gates and talk-closing questions are free."""
    if _is_beside_limit(proposal.kind, proposal.closes_talk, sequence):
        return None
    shared = _sharing(thread, sequence.key)
    sent = [
        m
        for m in counted(thread.pace)
        if m.sequence in shared and not _is_beside_limit(m.kind, m.closes_talk, sequence)
    ]
    factor = stretch(thread.pace, policy) if slows_in_silence(proposal.sequence, proposal.kind) else 1
    limit = sequence.at_most
    if limit.count == 1:
        return _slot_free(thread, policy, limit, sent, factor, at)
    return _rolling_wall(thread, [m.at for m in sent], limit.count, limit.days * factor, at)


def _rolling_wall(thread: Thread, sent: list[datetime], limit: int, days: int, at: datetime) -> datetime | None:
    """As `_rolling`, but on the wall clock: a text every week at the same local time stays so over a clock change."""
    if len(sent) < limit:
        return None
    free = localtime.plus_wall(sent[-limit], thread.profile.timezone, days=days)
    return free if at < free else None


def _is_beside_limit(kind: Kind, closes_talk: bool, sequence: Sequence) -> bool:
    return kind is Kind.GATE or closes_talk or kind.value in sequence.beside_limit


def _sharing(thread: Thread, key: str) -> tuple[str, ...]:
    """BREAK's one text a week includes RECONNECT's ideas."""
    pair = ("BREAK", "RECONNECT")
    return pair if key in pair and thread.in_sequence("BREAK") else (key,)


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


# ---------------------------------------------------------------- sequences side by side


def is_content(sequence: str) -> bool:
    """Does this sequence count among the two that may run at once?"""
    return sequence not in _BESIDE


def is_waiting_its_turn(thread: Thread, policy: Policy, sequence: str) -> bool:
    """Are two content sequences already running that began before this one?"""
    running = sorted((e for e in thread.enrollments if is_content(e.sequence.key)), key=lambda e: e.started_at)
    live = [e.sequence.key for e in running[: policy.active_sequences]]
    return is_content(sequence) and any(e.sequence.key == sequence for e in running) and sequence not in live
