"""The words of a nudge, made when it is handed over: its pinned step, for the family as it is now."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from nudges.families import wording
from nudges.families.wording import People
from schedules import notice, pacing, render
from schedules.catalog import Library
from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.render import Rendered
from schedules.values import Proposal, Reason, Send, Sequence, Texts, Thread


def as_it_was(thread: Thread, proposal: Proposal) -> Thread:
    """The thread as if this text had not been planned: its own mark and question must not stand in its way."""
    pace = pacing.forget(thread.pace, proposal)
    question = pace.question
    if question is not None and (question.sequence, question.step, question.cycle) == (
        proposal.sequence,
        proposal.step,
        proposal.cycle,
    ):
        pace = replace(pace, question=None)
    return replace(thread, pace=pace)


def made(
    proposal: Proposal,
    thread: Thread,
    *,
    sequence: Sequence | None,
    people: People,
    policy: Policy,
    library: Library,
    now: Minute,
) -> Rendered:
    """What the family reads. `sequence`: the pinned version; none for a question of the service itself.

    Raises MissingValue.
    """
    if sequence is None:
        texts = library.system.get(proposal.step)
        if texts is None:
            raise render.MissingValue(f"{proposal.step} has no text")
        profile = thread.profile
        values = _values(proposal, texts, thread, people=people, policy=policy, library=library, now=now)
        return render.fill(texts, lang=profile.pref_lang, discreet=profile.discreet, values=values)
    step = sequence.step(proposal.step)
    if step is None:
        raise render.MissingValue(f"{proposal.step} is not in version {sequence.version}")
    turn, is_plain = proposal.turn, proposal.is_plain
    texts = render.choose(step, thread.profile, turn, is_plain=is_plain)
    values = _values(proposal, texts, thread, people=people, policy=policy, library=library, now=now, sequence=sequence)
    return render.for_step(step, thread.profile, values, turn, is_plain=is_plain)


def with_notice(
    rendered: Rendered, thread: Thread, library: Library, policy: Policy, now: Minute, *, again: bool
) -> tuple[Rendered, Thread]:
    """The text with the line that says how to stop when it is due, and the thread that remembers it.

    `again`: an earlier try of this text had the line, and nobody has read it.
    """
    if again and thread.pace.notice_at is not None:
        long_ago = now - timedelta(days=policy.stop_notice_days)
        thread = replace(thread, pace=replace(thread.pace, notice_at=long_ago))
    return notice.added(rendered, thread, library.system, policy, now)


def _session_of(proposal: Proposal, thread: Thread, sequence: Sequence) -> datetime | None:
    """The very session that the text is about, as the core tells it from the step's place in the agenda."""
    enrollment, pending, step = thread.enrollment(proposal.enrollment), proposal.pending, sequence.step(proposal.step)
    if enrollment is None or pending is None or step is None:
        return None
    thread = thread.with_enrollment(replace(enrollment, agenda=(*enrollment.agenda, pending)))
    sent = Send(
        enrollment=enrollment.id,
        step=step,
        cycle=pending.cycle,
        which=pending.which,
        due_at=proposal.expires_at,
        mark=proposal.expires_at,
        proposal=proposal,
        reason=Reason(code="due", words=""),
    )
    return wording.session_of(thread, sent)


def _values(
    proposal: Proposal,
    texts: Texts,
    thread: Thread,
    *,
    people: People,
    policy: Policy,
    library: Library,
    now: Minute,
    sequence: Sequence | None = None,
) -> dict[str, str]:
    """What stands for the placeholders of the text that this family reads."""
    profile = thread.profile
    session_at = None if sequence is None else _session_of(proposal, thread, sequence)
    return wording.values_of(
        people,
        thread,
        policy,
        now,
        ideas=library.ideas,
        session_at=session_at,
        wanted=render.asked_for(texts, lang=profile.pref_lang, discreet=profile.discreet),
        proposal=proposal,
    )
