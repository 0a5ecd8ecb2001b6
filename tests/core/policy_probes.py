"""Probes of the policy's numbers: each finds one number from outside, by what the core does with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from schedules import (
    ahead,
    answers,
    beside,
    due,
    entry,
    gate,
    lifecycle,
    moments,
    notice,
    pacing,
    plan,
    policy,
    profile,
    render,
    run,
    script,
    windows,
)
from schedules.values import (
    Ask,
    Budget,
    Finish,
    Go,
    KeyDate,
    Kind,
    Mark,
    OpenQuestion,
    Pace,
    Proposal,
    Reason,
    Send,
    Span,
    Topic,
    Traits,
)
from tests.core.timelines import FAMILY_1, LIBRARY, budget_of, thread_of, welcomed, within

FREE = {**FAMILY_1, "busy_hours": {}, "contact_hours": {"default": ["08:00-21:00"]}}
WIDE = {**FREE, "dinner_time": "null", "bedtime_school": "23:30", "bedtime_free": "23:30"}
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def local(wall):
    return script.instant(wall, "America/Chicago")[0]


NOW = local("2025-06-18T12:00")  # a Wednesday, far from any clock change
WEDNESDAY, SATURDAY = date(2025, 6, 18), date(2025, 6, 21)


def thread(data=WIDE, *, dates=(), **pace):
    return replace(thread_of(data), pace=welcomed(**pace), key_dates=tuple(dates))


def mark(at, **more):
    known = {"kind": Kind.TIP, "topic": Topic.CARE, "sequence": "OTHER", "step": "XX-1", "cycle": 1, "counted": True}
    return Mark(at=at, **{**known, **more})


def proposal(kind=Kind.TIP, sequence="TALK", step="TK-2", **more):
    known = {"cycle": 1, "enrollment": "1", "topic": Topic.THERAPY, "expires_at": NOW + 400 * DAY}
    known["budget"] = budget_of(sequence, step, kind)
    return Proposal(sequence=sequence, step=step, kind=kind, **{**known, **more})


TALK = proposal(Kind.TALK, step="TK-4")


def shuts(p, t, at, numbers):
    verdict = gate.may_go(p, within(t, p), numbers, at)
    return None if isinstance(verdict, Go) else verdict.reason.code


def units_shut(code, p, make, numbers, unit, most=1200):
    """How many units after NOW the gate still says `code`: the number itself. `make` gives the thread at NOW."""
    t = make()
    return next(n for n in range(most) if shuts(p, t, NOW + n * unit, numbers) != code)


def days_near(kind_code, p, make, numbers):
    """How many days beside NOW are shut by a date: `make` gives the thread with the date so many days away."""
    return max((n for n in range(40) if shuts(p, make(n), NOW, numbers) == kind_code), default=-1)


def enrolled(key, t=None, start=NOW, enrollment_id="1", numbers=policy.DEFAULT):
    sequence = LIBRARY.sequences[key]
    return lifecycle.enroll(t or thread(), sequence, enrollment_id=enrollment_id, now=start, policy=numbers)


def asked(t, step, *, ago=timedelta(), left=72 * HOUR):
    known = t.enrollments[0]
    question = OpenQuestion(
        enrollment=known.id,
        sequence=known.sequence.key,
        step=step,
        cycle=1,
        asked_at=NOW - ago,
        until=NOW + left,
        counts_as_silence=True,
    )
    return replace(t, pace=replace(t.pace, question=question))


def says(t, text, numbers, at=NOW):
    return answers.apply(t, text, numbers, at, library=LIBRARY.sequences)


# ------------------------------------------------------------------ hours


def contact(numbers):
    spans = windows.open_spans(profile.parse({**WIDE, "contact_hours": None}), numbers, WEDNESDAY)
    return [(s.start, s.end) for s in spans]


def wall(numbers):
    spans = windows.open_spans(profile.parse({**WIDE, "contact_hours": "06:00-23:00"}), numbers, WEDNESDAY)
    return [(s.start, s.end) for s in spans]


def state(numbers):
    spans = windows.open_spans(profile.parse({**WIDE, "state": "FL"}), numbers, WEDNESDAY)
    return [(s.start, s.end) for s in spans]


def lead(numbers):
    window = windows.Window(day=WEDNESDAY, start=900, end=1000)
    found = windows._marks(profile.parse(WIDE), numbers, window)
    opens = local("2025-06-18T15:00")
    minutes = [int((opens - at) / MINUTE) for at, _ in found]
    return (
        minutes[0],
        max(minutes),
        min(minutes),
        min(b - a for a, b in zip(sorted(minutes), sorted(minutes)[1:], strict=False)),
    )


def least_window(numbers):
    for minutes in range(1, 90):
        data = {**WIDE, "calm_windows": {"wed": [f"10:00-{10 + minutes // 60}:{minutes % 60:02}"]}}
        if windows.calm_windows(thread(data), numbers, WEDNESDAY):
            return minutes
    return None


def calm(numbers, day=WEDNESDAY, data=FREE, dates=()):
    return [(w.start, w.end) for w in windows.calm_windows(thread(data, dates=dates), numbers, day)]


def open_minutes(numbers, data=FREE):
    return [(s.start, s.end) for s in windows.open_spans(profile.parse(data), numbers, WEDNESDAY)]


def beside_session(numbers):
    session = KeyDate(kind="session", nth=1, at=local("2025-06-18T17:00"))
    return calm(numbers, data={**WIDE, "calm_windows": {"wed": ["12:00-20:00"]}}, dates=(session,))


NO_CALM = {**FREE, "busy_hours": {"default": ["10:00-23:00"]}}


def offered(numbers):
    return sorted({(w.start, w.end) for w in windows.offered(thread(NO_CALM), numbers, NOW)})


def office(numbers):
    data = {**WIDE, "school_hours": "08:00-15:00"}
    t, p = thread(data), proposal(school_hours=True)
    at = local("2025-06-18T08:00")
    shut = [n for n in range(12 * 60) if shuts(p, t, at + n * MINUTE, numbers) == "school_closed"]
    opens = next(n for n in range(12 * 60) if n not in shut)
    return 480 + opens, 480 + next(n for n in range(opens, 12 * 60) if n in shut)


def only_open_after(days):
    """A family whose next open weekday is `days` away: shut on all weekdays but that one."""
    weekday = "mon tue wed thu fri sat sun".split()[(WEDNESDAY + days * DAY).weekday()]
    return {**WIDE, "contact_hours": {weekday: ["10:00-12:00"]}}


# ------------------------------------------------------------------ caps and gaps


def week_room(numbers, **pace):
    """How many texts of the last days still leave room for one more."""
    for n in range(6):
        marks = tuple(mark(NOW - (50 + k) * HOUR) for k in range(n))
        if shuts(proposal(), thread(marks=marks, **pace), NOW, numbers) == "cap_week":
            return n
    return None


def week_days(numbers):
    t = thread(marks=tuple(mark(NOW - n * MINUTE) for n in range(3)))
    hours = (n for n in range(400) if pacing.week_allows(t, numbers, proposal(), NOW + n * HOUR, Traits()) is None)
    return next(hours) / 24


def day_room(numbers):
    for n in range(5):
        marks = tuple(mark(NOW - k * HOUR) for k in range(1, n + 1))
        if shuts(proposal(Kind.FOLLOWUP), thread(marks=marks), NOW, numbers) == "cap_day":
            return n
    return None


def gap(numbers):
    roomy = replace(numbers, contact_hours=((Span(start=0, end=1440),),) * 7, cap_day=9)
    return next(
        n
        for n in range(200)
        if pacing.gap_allows(thread(marks=(mark(NOW),)), roomy, proposal(), NOW + n * HOUR, Traits()) is None
    )


def at_once(numbers):
    t = thread()
    for n, key in enumerate(("TALK", "PATIENCE", "ALT", "CHOICE"), start=1):
        t = enrolled(key, t, enrollment_id=str(n))
    return 4 - len(beside.waiting(t, numbers, NOW))


def slot_days(numbers):
    marks = (mark(NOW, sequence="ALT"),)
    t = replace(enrolled("ALT", thread(marks=marks)))
    weekly = next(e for e in t.enrollments)
    days = (
        n
        for n in range(20)
        if pacing.sequence_allows(t, numbers, proposal(sequence="ALT"), weekly, NOW + n * DAY) is None
    )
    return next(days)


def lowered(numbers):
    return week_room(numbers, lower_until=NOW + DAY)


# ------------------------------------------------------------------ ladders and silence


def cool(numbers):
    return (says(enrolled("TALK"), "HARD", numbers).thread.pace.cool_until - NOW) / HOUR


def badly(numbers):
    return (says(enrolled("TALK"), "HARD", numbers).thread.pace.talk_gap_until - NOW).days


def not_yet(numbers):
    waits, t = [], enrolled("TALK")
    for _ in range(5):
        outcome = says(asked(t, "TK-5"), "2", numbers)
        t = outcome.thread
        if any(s.sequence == "OPENDOOR" for s in outcome.starts):
            return tuple(waits)
        waits.append((t.pace.wait_until - NOW).days)
    return None


def silent(numbers, what):
    return next(n for n in range(12) if what(Pace(silence_count=n), numbers))


def stays(numbers):
    def asks(n):
        return isinstance(plan.decide(enrolled("TALK", thread(silence_count=n)), numbers, NOW), Ask)

    return next(n for n in range(12) if asks(n))


def monthly(numbers):
    t = thread(marks=(mark(NOW),), silence_count=4)
    return next(n for n in range(60) if pacing.gap_allows(t, numbers, proposal(), NOW + n * DAY, Traits()) is None)


def pause_after(numbers):
    """Days after the question; nothing else is due, for the enrollment has only just begun."""

    def pauses(n):
        t = enrolled("OPENDOOR", thread(silence_count=7, stay_asked_at=NOW), start=NOW + n * DAY)
        return isinstance(plan.decide(t, numbers, NOW + n * DAY), Finish)

    return next(n for n in range(60) if pauses(n))


def reply_window(numbers):
    t = enrolled("OPENDOOR", start=NOW - 28 * DAY)
    at = NOW
    for _ in range(50):
        decision = plan.decide(t, numbers, at)
        t = plan.advance(t, decision, numbers, at)
        if isinstance(decision, Send) and decision.step.answers:
            return (t.pace.question.until - at) / HOUR
        at = getattr(decision, "until", at)
    return None


def reask(numbers):
    t = asked(enrolled("DRIVE"), "DR-6")
    again = [p for p in says(t, "2", numbers).thread.enrollments[0].agenda if p.step == "DR-6" and p.not_before]
    return (again[0].not_before - NOW) / HOUR


def late_digit(numbers):
    t = asked(enrolled("TALK"), "TK-5")
    lapsed = replace(t, pace=replace(t.pace, question=None, lapsed_question=t.pace.question))
    end = t.pace.question.until
    found = {n: says(lapsed, "1", numbers, at=end + n * DAY) for n in range(90)}
    known = [n for n, outcome in found.items() if outcome.understood]
    at_once = [n for n in known if found[n].replies[0].system != "which_one"]
    return max(at_once), max(known)


def asked_once_more(numbers):
    """Days until a question that all else hangs on is asked once more."""
    t = asked(enrolled("TALK"), "TK-6")
    t = t.with_enrollment(replace(t.enrollments[0], agenda=()))
    (again,) = lifecycle.unanswered(t, t.pace.question, numbers, NOW).enrollments[0].agenda
    return (again.not_before - NOW).days


def tries(numbers):
    """How many times a talk goes out while nobody says how it went."""

    def is_tried_again(n):
        t = asked(enrolled("TALK"), "TK-5")
        t = t.with_enrollment(replace(t.enrollments[0], agenda=(), facts={"tried TK-4": n}))
        found = lifecycle.unanswered(t, t.pace.question, numbers, NOW).enrollments[0].agenda
        return "TK-4" in {p.step for p in found}

    return next(n for n in range(9) if not is_tried_again(n))


def date_asked(numbers):
    t = lifecycle.at(enrolled("DRIVE"), numbers, NOW)
    return next((by.date() - NOW.date()).days for _, _, by in ahead.awaits(t, numbers))


def told_again(numbers):
    """Days after which people hear again that a date is missing."""
    t = lifecycle.at(enrolled("DRIVE"), numbers, NOW)
    t = replace(t, pace=replace(t.pace, told={"awaits session DRIVE": NOW + 60 * DAY}))
    later = NOW + 60 * DAY
    return next(n for n in range(90) if ahead.awaited(t, None, numbers, later + n * DAY) is not None)


def no_idea(numbers):
    """Days until an idea may come again: a family that has had all of them on one day."""
    t = enrolled("RECONNECT", thread(ideas={idea.id: NOW for idea in LIBRARY.ideas}, rung=5))
    one = step("RC-1")
    send = Send(
        enrollment="1",
        step=one,
        cycle=1,
        which=0,
        due_at=NOW,
        mark=NOW,
        proposal=proposal(Kind.IDEA, "RECONNECT", "RC-1"),
        reason=Reason(code="due", words="Due."),
    )
    return next(
        n for n in range(200) if isinstance(run._with_idea(send, t, numbers, NOW + n * DAY, LIBRARY.ideas), Send)
    )


def says_enough(numbers):
    def has_had(n):
        return shuts(proposal(), thread(said={"TK-2": (NOW - DAY,) * n}), NOW, numbers)

    return next(n for n in range(9) if has_had(n) == "said_enough")


def gate_asks(numbers):
    def is_a_persons(n):
        t = in_break(numbers, since=NOW - 60 * DAY)
        known = replace(t.enrollments[0], facts={"streak": 9, "gate unanswered": n})
        verdict = gate.break_gate(known, t, numbers, NOW)
        return verdict is not None and verdict.reason.code == "gate_unanswered"

    return next(n for n in range(9) if is_a_persons(n))


def goes_first(numbers):
    """Days that the others wait for the sign-up."""
    t = enrolled("TALK", enrolled("ONBOARD"), enrollment_id="2")
    return next(n for n in range(90) if not beside.waiting(t, numbers, NOW + n * DAY))


def event_room(numbers):
    """How many events of the last days still leave room for one more."""
    for n in range(9):
        marks = tuple(mark(NOW - (50 + k) * HOUR, budget=Budget.EVENT) for k in range(n))
        if shuts(proposal(Kind.FOLLOWUP), thread(marks=marks), NOW, numbers) == "cap_week":
            return n
    return None


# ------------------------------------------------------------------ how long a step may wait


def step(step_id):
    return next(s for q in LIBRARY.sequences.values() for s in q.steps if s.id == step_id)


def lives(numbers, step_id, unit, **more):
    one = step(step_id)
    sequence = next(q for q in LIBRARY.sequences.values() if q.step(step_id) is one)
    return (due.expiry(sequence, one, one.when[0], due.Due(at=NOW, **more), numbers) - NOW) / unit


def talk_lives(numbers):
    one = step("TK-4")
    found = due.expiry(LIBRARY.sequences["TALK"], one, one.when[0], due.Due(at=NOW), numbers, window_start=NOW)
    return (found - NOW) / MINUTE


def round_again(numbers):
    """The farthest next round that a lost one is not made up before."""
    door = enrolled("OPENDOOR").enrollments[0]
    first, second = [p for p in door.agenda if p.step == "OD-2"][:2]

    def is_soon(n):
        rounds = (replace(first, base=NOW), replace(second, which=first.which, base=NOW + n * DAY))
        t = replace(thread(), enrollments=(replace(door, agenda=rounds),))
        lost = moments.coming(rounds[0], t.enrollments[0], t, numbers)
        return plan._comes_soon_anyway(t, lost, numbers)

    return max(n for n in range(1, 40) if is_soon(n))


def notice_days(numbers):
    rendered = render.fill(step("OD-1").texts, lang="en", discreet=False, values={})
    t = thread(notice_at=NOW)
    known = LIBRARY.system
    return next(n for n in range(90) if notice.added(rendered, t, known, numbers, NOW + n * DAY)[0] != rendered)


def rungs(numbers):
    t = enrolled("RECONNECT")
    for _ in range(12):
        t = says(asked(t, "RC-C"), "1", numbers).thread
    return t.pace.rung


# ------------------------------------------------------------------ hard days, the break, entry


def hard(numbers, p):
    return days_near("hard_date", p, lambda n: thread({**WIDE, "hard_dates": [str(WEDNESDAY + n * DAY)]}), numbers)


def court(numbers):
    return days_near(
        "court_day",
        TALK,
        lambda n: thread(dates=(KeyDate(kind="court", nth=1, at=NOW + n * DAY, date_only=True),)),
        numbers,
    )


def in_break(numbers, *, streak=9, since=NOW, **pace):
    data = {**WIDE, "therapist_told": "true"}
    t = enrolled("BREAK", thread(data, dates=(KeyDate(kind="break_start", nth=1, at=since),), **pace))
    known = t.enrollments[0]
    return t.with_enrollment(replace(known, facts={"streak": streak}))


def gate_shut(numbers, unit=DAY, **more):
    t = in_break(numbers, **more)
    return next(n for n in range(90) if gate.break_gate(t.enrollments[0], t, numbers, NOW + n * unit) is None)


def streak(numbers):
    def is_open(n):
        t = in_break(numbers, streak=n, since=NOW - 60 * DAY)
        return gate.break_gate(t.enrollments[0], t, numbers, NOW) is None

    return next(n for n in range(9) if is_open(n))


def pulse(numbers):
    """The interval that "not yet" widens from: a week more than the policy's."""
    t = in_break(numbers)
    after = says(asked(t, "BR-5"), "2", numbers).thread.enrollments[0]
    return after.facts["interval_days"] - 7


def crisis_free(numbers):
    t = thread(dates=(KeyDate(kind="crisis_report", nth=1, at=NOW),))
    return next(n for n in range(90) if entry.refusal(LIBRARY.sequences["TALK"], t, numbers, NOW + n * DAY) is None)
