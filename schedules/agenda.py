"""What is still to come in an enrollment: entering a sequence, following a sent step, moving versions, resuming.

An agenda holds Pending steps. A step that an answer leads to is added by that answer, one that hangs on another
step by its sending; key dates are read at each look, so a moved session moves everything unsent.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from schedules import beside, localtime
from schedules.policy import Policy
from schedules.values import Anchor, Budget, Choice, Enrollment, Kind, Pending, Sequence, Slot, Step, Thread, When

_FOLLOWS_A_MOVE = (Kind.REMINDER, Kind.FOLLOWUP)
_BY_SENDING = (Anchor.STEP, Anchor.TRY, Anchor.ANSWER)
_LEADING = ("go", "ask", "reply", "next_window", "again")


def scored_questions(sequence: Sequence) -> int:
    """How many questions of the sequence give marks (MATCH)."""
    return sum(any(e.verb == "score" for a in step.answers.values() for e in a.then) for step in sequence.steps)


def first_agenda(sequence: Sequence, now: datetime) -> tuple[Pending, ...]:
    """What stands in the agenda from the first minute: all that hangs on enrollment or on key dates.

    A step with a moment of its own has it even if an answer may bring it sooner (AC-3: on 3, else x+6 d).
    """
    pending: list[Pending] = []
    for step in sequence.steps:
        for which, when in enumerate(step.when):
            if when.anchor in _BY_SENDING or when.nth == 0:
                continue
            pending.append(Pending(step=step.id, cycle=which + 1, which=which, nth=when.nth))
    return tuple(pending)


def at_once(sequence: Sequence) -> tuple[Step, ...]:
    """Steps that are said in reply at the very start: those that later steps count from (RP-0, not MA-4)."""
    counted_from = {when.step for step in sequence.steps for when in step.when}
    return tuple(s for s in sequence.steps if s.id in counted_from and any(w.slot is Slot.AT_ONCE for w in s.when))


def next_cycle(enrollment: Enrollment, step_id: str) -> int:
    """A number that no earlier or pending round of the step has used: outcomes are unique by it."""
    pending = [p.cycle for p in enrollment.agenda if p.step == step_id]
    return max([enrollment.cycles.get(step_id, 0), *pending]) + 1


def add(
    enrollment: Enrollment,
    step_id: str,
    base: datetime | None,
    *,
    not_before: datetime | None = None,
    which: int = 0,
    nth: int = 0,
    chosen: Choice | None = None,
) -> Enrollment:
    """The enrollment with one more round of `step_id`, counted from `base` (or from the `nth` key date).

    No second one beside a pending one.
    """
    kept = tuple(p for p in enrollment.agenda if p.step != step_id or p.which != which)
    cycle = next_cycle(enrollment, step_id)
    pending = Pending(step=step_id, cycle=cycle, which=which, base=base, nth=nth, not_before=not_before, chosen=chosen)
    return replace(enrollment, agenda=(*kept, pending))


def counts_from_answer(step: Step) -> bool:
    """Is the step's moment counted from the answer that leads to it? Otherwise that answer means: now."""
    return not step.when or step.when[0].anchor in _BY_SENDING or step.when[0].slot is Slot.MORNING


def add_now(enrollment: Enrollment, step: Step, now: datetime, zone: str) -> Enrollment:
    """The enrollment with `step` due from now on, whatever it usually counts from."""
    base = _base_for(step.when[0], now, zone) if step.when else now
    return add(enrollment, step.id, base, not_before=now)


def _base_for(when: When, at: datetime, zone: str) -> datetime:
    """The instant to count from so that `when` falls on `at`."""
    base = localtime.plus_wall(at, zone, days=-when.offset_days, hours=-when.offset_hours)
    return base - timedelta(minutes=when.offset_minutes)


def ask_again(enrollment: Enrollment, asked: Pending, at: datetime, zone: str) -> Enrollment:
    """The enrollment with the question of `asked` due once more at `at`, unless it is answered before."""
    step = enrollment.sequence.by_id[asked.step]
    again = replace(
        asked,
        cycle=next_cycle(enrollment, asked.step),
        base=_base_for(step.when[asked.which], at, zone),
        not_before=at,
        replans=0,
        asked_again=True,
    )
    return replace(enrollment, agenda=(*enrollment.agenda, again))


def without_second_asking(enrollment: Enrollment, step_id: str) -> Enrollment:
    """The question has its answer (or never went out): nobody asks again, and nobody tells people."""
    kept = tuple(p for p in enrollment.agenda if p.step != step_id or not p.asked_again)
    instants = {key: at for key, at in enrollment.instants.items() if key != silent_key(step_id)}
    return replace(enrollment, agenda=kept, instants=instants)


def silent_key(step_id: str) -> str:
    """Under which instant it stands when people are told that a question has no answer."""
    return f"silent {step_id}"


def remove(enrollment: Enrollment, pending: Pending) -> Enrollment:
    cycles = {**enrollment.cycles, pending.step: max(pending.cycle, enrollment.cycles.get(pending.step, 0))}
    return replace(enrollment, agenda=tuple(p for p in enrollment.agenda if p != pending), cycles=cycles)


def after_sending(enrollment: Enrollment, step_id: str, sent_at: datetime) -> Enrollment:
    """Adds what hangs on the sending of `step_id`."""
    for follower, which in enrollment.sequence.followers.get(step_id, ()):
        enrollment = add(enrollment, follower, sent_at, which=which)
    return enrollment


def repeat(enrollment: Enrollment, pending: Pending, base: datetime) -> Enrollment:
    """Adds the next round of a step that repeats (pulses, weekly ideas, the gate, staff reviews).

    A step that came alone, such as one idea in place of a talk, comes once.
    """
    if enrollment.facts.get("only"):
        return enrollment
    step = enrollment.sequence.step(pending.step)
    when = step.when[pending.which] if step and pending.which < len(step.when) else None
    if when is None or (when.every_days is None and when.anchor is not Anchor.GATE):
        return enrollment
    if any(p.step == pending.step and p.which == pending.which for p in enrollment.agenda):
        return enrollment
    pending = Pending(
        step=pending.step,
        cycle=next_cycle(enrollment, pending.step),
        which=pending.which,
        base=None if when.anchor is Anchor.GATE else base,
        nth=pending.nth,
    )
    return replace(enrollment, agenda=(*enrollment.agenda, pending))


def with_each_session(enrollment: Enrollment, thread: Thread, now: datetime) -> Enrollment:
    """Adds the rounds of "every session" steps for sessions that have been recorded since."""
    by_session = enrollment.sequence.by_session
    if not by_session or not any(key.kind == "session" for key in thread.key_dates):
        return enrollment
    for step, which, when in by_session:
        if when.nth == 0 and is_wished(step, thread):
            enrollment = _each_session(enrollment, thread, step, which, now)
        elif step.kind in _FOLLOWS_A_MOVE:
            enrollment = _moved_session(enrollment, thread, step, which)
    return enrollment


def _moved_session(enrollment: Enrollment, thread: Thread, step: Step, which: int) -> Enrollment:
    """A reminder or follow-up that went out for a date which has moved on since: one more round for the new date."""
    when, sent_at = step.when[which], enrollment.instants.get(f"sent {step.id}")
    if sent_at is None or any(p.step == step.id for p in enrollment.agenda):
        return enrollment
    date = next((k for k in thread.key_dates if k.kind == "session" and k.nth == when.nth and k.status == "set"), None)
    if date is None or date.at + timedelta(days=when.offset_days, hours=when.offset_hours) <= sent_at:
        return enrollment
    instants = {key: at for key, at in enrollment.instants.items() if key != f"sent {step.id}"}
    pending = Pending(step=step.id, cycle=next_cycle(enrollment, step.id), which=which, nth=when.nth)
    return replace(enrollment, agenda=(*enrollment.agenda, pending), instants=instants)


def awaits_sessions(enrollment: Enrollment) -> bool:
    """Does an open-ended sequence (REMIND) live on for sessions that nobody has recorded yet?"""
    if enrollment.sequence.lasts_days is not None:
        return False
    return any(when.nth == 0 for _, _, when in enrollment.sequence.by_session)


def is_wished(step: Step, thread: Thread) -> bool:
    """Has the family asked for a step that comes on a wish only?"""
    return step.on_wish is None or bool(getattr(thread.profile, step.on_wish))


def _each_session(enrollment: Enrollment, thread: Thread, step: Step, which: int, now: datetime) -> Enrollment:
    """One round for each session; a session that moved after its text went out gets another."""
    for key in thread.key_dates:
        known = f"{step.id}#{key.nth}"
        if key.kind != "session" or key.status != "set" or enrollment.instants.get(known) == key.at:
            continue
        if key.at < enrollment.started_at or (step.kind is Kind.REMINDER and key.at <= now):
            continue
        if step.kind is Kind.REMINDER and step.on_wish is None and _reminded_elsewhere(key.nth, enrollment, thread):
            continue
        enrollment = replace(enrollment, instants={**enrollment.instants, known: key.at})
        if not any(p.step == step.id and p.nth == key.nth for p in enrollment.agenda):
            pending = Pending(step=step.id, cycle=next_cycle(enrollment, step.id), which=which, nth=key.nth)
            enrollment = replace(enrollment, agenda=(*enrollment.agenda, pending))
    return enrollment


def _reminded_elsewhere(nth: int, enrollment: Enrollment, thread: Thread) -> bool:
    """Does another running sequence remind of this very session (DRIVE of its two)? One reminder is enough."""
    return any(
        step.kind is Kind.REMINDER and when.anchor is Anchor.SESSION and when.nth == nth
        for other in thread.enrollments
        if other.id != enrollment.id
        for step in other.sequence.steps
        for when in step.when
    )


def start(
    sequence: Sequence,
    *,
    enrollment_id: str,
    now: datetime,
    policy: Policy,
    zone: str,
    at_step: str | None,
    only: bool,
    spacing_days: int | None = None,
) -> Enrollment:
    """A new enrollment, from its first step, from `at_step` on, or with that single step (`only`).

    With `spacing_days` its steps come that far apart, as many as its length has room for, the last one on its own day.
    """
    facts = {"only": 1} if only else {}
    enrollment = Enrollment(id=enrollment_id, sequence=sequence, started_at=now, facts=facts)
    step = sequence.step(at_step) if at_step else None
    if step is None:
        first = first_agenda(sequence, now)
        agenda = first if spacing_days is None else _spaced(first, sequence, now, spacing_days, zone)
        enrollment = replace(enrollment, agenda=agenda)
        for said in at_once(sequence):
            enrollment = after_sending(enrollment, said.id, now)
        return enrollment
    if not only:
        order = [s.id for s in sequence.steps]
        later = set(order[order.index(step.id) + 1 :])
        kept = tuple(p for p in first_agenda(sequence, now) if p.step in later)
        enrollment = replace(enrollment, agenda=_brought_forward(kept, step, enrollment, zone))
    if step.when and step.when[0].slot is Slot.MORNING:
        return add(enrollment, step.id, now)
    return add_now(enrollment, step, now, zone)


def _spaced(
    agenda: tuple[Pending, ...], sequence: Sequence, now: datetime, days: int, zone: str
) -> tuple[Pending, ...]:
    """Steps in their order, one in so many days; what finds no room before the last step's own day is left out."""
    offsets = {p: sequence.by_id[p.step].when[p.which].offset_days for p in agenda}
    *earlier, last = sorted(agenda, key=lambda p: offsets[p])
    room = (offsets[last] - 1) // days
    bases = (localtime.plus_wall(now, zone, days=n * days - offsets[p]) for n, p in enumerate(earlier, start=1))
    return (*(replace(p, base=base) for p, base in list(zip(earlier, bases, strict=True))[:room]), last)


def _brought_forward(agenda: tuple[Pending, ...], step: Step, enrollment: Enrollment, zone: str) -> tuple[Pending, ...]:
    """Later steps keep their distance from the one that we start at, on the wall clock."""
    skipped = step.when[0].offset_days if step.when and step.when[0].anchor is Anchor.ENROLLED else 0
    moved: list[Pending] = []
    for pending in agenda:
        later = enrollment.sequence.step(pending.step)
        when = later.when[pending.which] if later else None
        if when is not None and when.anchor is Anchor.ENROLLED and skipped:
            base = localtime.plus_wall(enrollment.started_at, zone, days=-skipped)
            pending = replace(pending, base=base)
        moved.append(pending)
    return tuple(moved)


def upgrade(enrollment: Enrollment, sequence: Sequence) -> Enrollment:
    """The enrollment on another version, by step id: what was sent stays sent, what is pending keeps its round.

    Steps that the version adds join the agenda only if they lie ahead; steps that it drops leave it.
    """
    known = {step.id for step in enrollment.sequence.steps}
    fresh = replace(enrollment, sequence=sequence)
    agenda = [p for p in enrollment.agenda if (step := sequence.step(p.step)) is not None and p.which < len(step.when)]
    agenda += [p for p in first_agenda(sequence, enrollment.started_at) if p.step not in known]
    return replace(fresh, agenda=tuple(agenda))


def shift(enrollment: Enrollment, since: datetime, now: datetime, zone: str) -> Enrollment:
    """The enrollment after a rest from `since` to `now`: what counts from enrollment moves by the rest's length.

    By whole dates on the wall clock where the rest has any: a text of ten o'clock stays one of ten o'clock when the
    clocks change in between.
    """
    if now <= since:
        return enrollment
    return later(enrollment, _rest(since, now, zone), zone)


def _rest(since: datetime, now: datetime, zone: str) -> timedelta:
    """The length of a rest as wall clocks show it."""
    return localtime.local(now, zone).replace(tzinfo=None) - localtime.local(since, zone).replace(tzinfo=None)


def later(enrollment: Enrollment, by: timedelta, zone: str) -> Enrollment:
    """The enrollment with all that counts from enrollment or from a sending moved by some wall time."""
    agenda = tuple(
        p if p.base is None or _stays(enrollment, p) else replace(p, base=localtime.moved(p.base, zone, by))
        for p in enrollment.agenda
    )
    moved = replace(enrollment, agenda=agenda, started_at=localtime.moved(enrollment.started_at, zone, by))
    return _noting_move(moved, by)


def _noting_move(enrollment: Enrollment, by: timedelta) -> Enrollment:
    """The enrollment that knows by how many days its dates have moved: the reason of its texts tells it."""
    days = enrollment.facts.get("moved days", 0) + round(by / timedelta(days=1))
    return replace(enrollment, facts={**enrollment.facts, "moved days": days}) if days else enrollment


def _stays(enrollment: Enrollment, pending: Pending) -> bool:
    """What a rest does not move: repeating steps, and the question that closes a talk, which nobody remembers later."""
    step = enrollment.sequence.step(pending.step)
    if step is None or pending.which >= len(step.when):
        return False
    return step.closes_talk or step.when[pending.which].every_days is not None


def waits(enrollment: Enrollment) -> bool:
    """Does the enrollment wait for its turn?"""
    return beside.WAITS_SINCE in enrollment.instants


def rests(enrollment: Enrollment, pending: Pending) -> bool:
    """Does the step wait with its sequence, to come later by as much? What hangs on a date in the calendar does not."""
    if not waits(enrollment):
        return False
    step = enrollment.sequence.step(pending.step)
    if step is None or pending.which >= len(step.when) or _stays(enrollment, pending):
        return False
    return pending.base is not None or step.when[pending.which].anchor in (Anchor.ENROLLED, *_BY_SENDING)


def without_talk_units(enrollment: Enrollment, now: datetime) -> Enrollment:
    """The enrollment without its open talk units: a talk that went out but was not closed is planned anew, and its
    closing question, which nobody could answer later, is withdrawn. A crisis, a pause and LATER act on the unit."""
    for step in enrollment.sequence.steps:
        talk = enrollment.sequence.talk_closed_by(step)
        if talk is not None and any(p.step == step.id for p in enrollment.agenda):
            enrollment = without_unit(enrollment, talk.id)
            if not any(p.step == talk.id for p in enrollment.agenda):
                enrollment = add(enrollment, talk.id, None, not_before=now)
    return enrollment


def without_unit(enrollment: Enrollment, talk: str) -> Enrollment:
    """The enrollment without the questions that would close this talk."""
    closers = enrollment.sequence.closers_of(talk)
    return replace(enrollment, agenda=tuple(p for p in enrollment.agenda if p.step not in closers))


def slid(enrollment: Enrollment, days: int, zone: str) -> Enrollment:
    """The enrollment whose step came some days late: the later ones keep their distance, none overtakes."""
    by = timedelta(days=days)
    agenda = tuple(
        replace(p, base=localtime.moved(p.base, zone, by)) if p.base is not None and _slides(enrollment, p) else p
        for p in enrollment.agenda
    )
    moved = replace(enrollment, agenda=agenda, started_at=localtime.moved(enrollment.started_at, zone, by))
    return _noting_move(moved, by)


def _slides(enrollment: Enrollment, pending: Pending) -> bool:
    step = enrollment.sequence.step(pending.step)
    when = step.when[pending.which] if step is not None and pending.which < len(step.when) else None
    return step is not None and when is not None and slides(enrollment.sequence, step, when)


def slides(sequence: Sequence, step: Step, when: When) -> bool:
    """Is this a step of an order of its own: comfort, once, by the calendar of its sequence? Then it slides rather than
    expires: late it is as good as before, and what comes after it waits."""
    once = when.every_days is None and when.anchor in (Anchor.ENROLLED, Anchor.STEP)
    plain = when.slot in (Slot.PREFERRED, Slot.EXACT) and not step.closes_talk and step.kind is not Kind.STAFF
    return once and plain and sequence.budget_of(step) is Budget.COMFORT


def moves_on_with_hold(enrollment: Enrollment, pending: Pending, thread: Thread) -> bool:
    """Does the step slide while a person holds everything? The release moves it on by as long as the hold lasted."""
    is_held = any(hold.until is None and hold.kind != "safeguarding" for hold in thread.holds)
    return is_held and _slides(enrollment, pending)


# ---------------------------------------------------------------- what an enrollment still waits for

AWAITS = "awaits_date"  # the instant since which all that is left hangs on a date that nobody has entered


def awaited_kind(enrollment: Enrollment, thread: Thread) -> str | None:
    """The kind of date that the rest of this enrollment hangs on and nobody has entered; none when it has more to come,
    or nothing."""
    kinds = [
        _unknown_date(enrollment, pending, thread)
        for pending in enrollment.agenda
        if not _is_for_others(enrollment, pending)
    ]
    if any(kind is None for kind in kinds):
        return None
    awaited = [kind for kind in kinds if kind is not None and _is_awaited(enrollment, kind)]
    if not awaited and awaits_sessions(enrollment):
        return "session"
    return awaited[0] if awaited else None


def _is_for_others(enrollment: Enrollment, pending: Pending) -> bool:
    """A person's step, or a gate, which opens only by what the other steps bring."""
    step = enrollment.sequence.step(pending.step)
    return step is None or step.kind in (Kind.STAFF, Kind.GATE)


def _unknown_date(enrollment: Enrollment, pending: Pending, thread: Thread) -> str | None:
    """The kind of date that this step hangs on and that is not known; none when it has what it counts from."""
    step = enrollment.sequence.step(pending.step)
    when = step.when[pending.which] if step is not None and pending.which < len(step.when) else None
    if when is None or pending.base is not None or when.anchor in (Anchor.ENROLLED, Anchor.GATE, *_BY_SENDING):
        return None
    kind, nth = when.anchor.value, pending.nth or when.nth
    known = any(k.kind == kind and k.nth == nth and k.status in ("set", "done") for k in thread.key_dates)
    return None if known else kind


def _is_awaited(enrollment: Enrollment, kind: str) -> bool:
    traits = enrollment.sequence.traits
    return kind in ("session", traits.needs_date, traits.counts_from) or bool(enrollment.facts.get(f"awaits {kind}"))


def has_ahead(enrollment: Enrollment, thread: Thread) -> bool:
    """Is anything still to come that is on its way or hangs on an awaited date?

    What hangs on a date that nobody has asked for (a consult call that was never booked) does not keep it alive.
    """
    for pending in enrollment.agenda:
        step = enrollment.sequence.step(pending.step)
        if step is not None and not is_wished(step, thread):
            continue
        kind = _unknown_date(enrollment, pending, thread)
        if kind is None or _is_awaited(enrollment, kind):
            return True
    return False


def noting_awaited(enrollment: Enrollment, thread: Thread, now: datetime) -> Enrollment:
    """The enrollment that remembers since when it waits for a date."""
    awaits = awaited_kind(enrollment, thread) is not None
    if awaits == (AWAITS in enrollment.instants):
        return enrollment
    instants = {key: at for key, at in enrollment.instants.items() if key != AWAITS}
    since = localtime.midnight(now, thread.profile.timezone)
    return replace(enrollment, instants={**instants, AWAITS: since} if awaits else instants)
