"""A simulated calendar for one parent: the functions that plan real texts, on invented days, without a database.

Yields events in time order as plain mappings (JSON lines when printed). Formats: docs/simulate.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from schedules import fillings, localtime, notice, plan, render, standing
from schedules import run as run_loop
from schedules.catalog import Library
from schedules.policy import Policy
from schedules.script import Act
from schedules.simulated_acts import Danger, Event, Leaves, Life, Screen
from schedules.values import Ask, Drop, Finish, Reason, Send, StaffTask, Thread

__all__ = ["Danger", "Event", "Leaves", "Screen", "run"]


def run(
    thread: Thread,
    *,
    library: Library,
    sequences: Sequence[str],
    policy: Policy,
    start: datetime,
    days: int,
    script: Sequence[Act] = (),
    screen: Screen | None = None,
    leaves: Leaves | None = None,
    lag: timedelta = timedelta(),
) -> Iterator[Event]:
    """All events of `days` days from `start` for one parent who enters `sequences` at the start.

    `screen` reads danger and `leaves` plain words of leaving, also beside danger; without them only the carriers' words
    are known. `lag`: every look and every sending happens so much after its moment. The last event is `standing`.
    """
    run = _Run(thread, library, policy, start, start + timedelta(days=days), script, screen)
    run.leaves, run.lag = leaves, lag
    yield from run.events(sequences)


class _Run(Life):
    """One simulated calendar: the looks of the planner between the acts."""

    # ------------------------------------------------------------ the calendar

    def events(self, sequences: Sequence[str]) -> Iterator[Event]:
        for key in sequences:
            yield from self.enter(key)
        yield from self.acts_so_far()
        while True:
            self.thread, look = plan.noted(self.thread, self.policy, localtime.minute(self.now))
            moment = look.at if look.at is not None else self.end
            if self.down_until is not None:
                moment = max(moment, self.down_until)
            look_at = max(moment, self.now) + self.lag
            act_at = self.acts[0].at if self.acts else None
            if min(look_at, act_at or look_at) >= self.end:
                yield self.standing()
                return
            if act_at is not None and act_at <= look_at:
                self.now = max(self.now, act_at)
                yield from self.acts_so_far()
                continue
            self.now, self.down_until = look_at, None
            yield from self.look()

    def standing(self) -> Event:
        """The last line of a stream: what comes next for this parent, who has to bring it, and until when."""
        self.now = self.end
        found = standing.standing(self.thread, self.policy, localtime.minute(self.end))
        zone, event = self.thread.profile.timezone, self.event("standing", found.reason)
        following = None
        if found.next is not None:
            local = localtime.local(found.next.at, zone).isoformat()
            following = {"sequence": found.next.sequence, "step": found.next.step, "at": local}
        by = None if found.by is None else localtime.local_date(found.by, zone).isoformat()
        return event | {"state": found.state, "next": following, "owner": found.owner, "by": by}

    def acts_so_far(self) -> Iterator[Event]:
        while self.acts and self.acts[0].at is not None and self.acts[0].at <= self.now:
            yield from self.act(self.acts.pop(0))

    def look(self) -> list[Event]:
        """Decide and carry out until the core waits."""
        found = run_loop.until_wait(
            self.thread,
            self.policy,
            localtime.minute(self.now),
            library=self.library.sequences,
            new_id=self.new_id,
            ideas=self.library.ideas,
        )
        self.thread = found.thread
        return [event for taken in found.taken for event in self.carried_out(taken)]

    def carried_out(self, taken: run_loop.Taken) -> list[Event]:
        decision, before = taken.decision, taken.before
        if isinstance(decision, Send):
            return self.send(taken, decision)
        if isinstance(decision, Drop):
            name = "expire" if decision.outcome == "expired" else "drop"
            enrollment = before.enrollment(decision.enrollment)
            key = enrollment.sequence.key if enrollment else ""
            return [self.dropped(decision, key, name)]
        if isinstance(decision, StaffTask):
            return [self.task(decision, before)]
        if isinstance(decision, Ask):
            return self.ask(decision)
        if isinstance(decision, Finish):
            return self.finish(taken, decision)
        return self.onward(taken)

    def onward(self, taken: run_loop.Taken) -> list[Event]:
        if taken.begun is None:
            return []
        key = taken.begun.sequence.key
        return [self.event("state", taken.decision.reason, sequence=key, state="started")]

    # ------------------------------------------------------------ texts

    def send(self, taken: run_loop.Taken, decision: Send) -> list[Event]:
        proposal, step, before = decision.proposal, decision.step, taken.before
        try:
            values = self.values(taken.after, fillings.session_of(before, decision), proposal)
            rendered = render.for_step(step, before.profile, values, proposal.turn, is_plain=proposal.is_plain)
        except render.MissingValue as missing:
            words = f"Not sent: {missing}."
            self.thread = plan.unsent(self.thread, proposal, self.policy, self.now, expired=False, reason=words)
            return [self.event("drop", Reason(code="missing_value", words=words), step=step.id)]
        self.answer_later(step.id, decision.mark)
        rendered, self.thread = notice.added(rendered, self.thread, self.library.system, self.policy, self.now)
        return [self.sent(proposal, rendered, decision.reason)]

    def ask(self, decision: Ask) -> list[Event]:
        texts = self.library.system[decision.step]
        profile = self.thread.profile
        rendered = render.fill(
            texts, lang=profile.pref_lang, discreet=profile.discreet, values=self.values(self.thread)
        )
        self.answer_later(decision.step, self.now)
        return [self.sent(decision.proposal, rendered, decision.reason)]

    # ------------------------------------------------------------ enrollments

    def finish(self, taken: run_loop.Taken, decision: Finish) -> list[Event]:
        if decision.pause:
            return [self.event("state", decision.reason, state="paused")]
        enrollment = taken.before.enrollment(decision.enrollment or "")
        if enrollment is None:
            return []
        key = enrollment.sequence.key
        ended = self.event("state", decision.reason, sequence=key, state="ended")
        return [*(self.dropped(drop, key) for drop in taken.left), ended]
