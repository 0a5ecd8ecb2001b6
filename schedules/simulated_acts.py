"""What a parent and staff do in a simulated calendar, and what follows at once.

`Life` is one simulated parent: the thread, the moment, and the lines that its stream has for what happens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from schedules import (
    answers,
    beside,
    carrier_words,
    entry,
    fillings,
    lifecycle,
    localtime,
    progress,
    render,
    segments,
)
from schedules import profile as profiles
from schedules.catalog import Library
from schedules.policy import Policy
from schedules.script import Act
from schedules.values import PLACES, Drop, Hold, KeyDate, Kind, Proposal, Reason, StaffTask, Thread

Event = dict[str, Any]
Screen = Callable[[str], "Danger | None"]
Leaves = Callable[[str, bool], bool]  # the text, and whether a screen sees danger in it

_ORG = "Family Support"


@dataclass(frozen=True, kw_only=True, slots=True)
class Danger:
    """What a crisis screen says of a text: level "crisis" or "check", tier, and the reply."""

    level: str
    tier: str | None
    why: str
    reply: str


class Life:
    """One simulated parent. Time only moves forward, from look to look and from act to act."""

    def __init__(
        self,
        thread: Thread,
        library: Library,
        policy: Policy,
        start: datetime,
        end: datetime,
        script: Sequence[Act],
        screen: Screen | None,
    ) -> None:
        # Whoever is simulated has been welcomed, unless they sign up here.
        self.thread = replace(thread, pace=replace(thread.pace, welcomed_at=start))
        self.library, self.policy = library, policy
        self.now, self.end, self.screen = start, end, screen
        self.replies_to = [act for act in script if act.on is not None]
        self.sent_counts: dict[str, int] = {}
        self.acts = sorted((act for act in script if act.at is not None), key=lambda act: (act.at, act.order))
        self.down_until: datetime | None = None
        self.opted_out_at = start
        self.enrolled = 0
        self.leaves: Leaves | None = None
        self.lag = timedelta()

    def event(self, name: str, reason: Reason | str, **more: Any) -> Event:
        zone = self.thread.profile.timezone
        found: Event = {"at": utc(self.now), "local": localtime.local(self.now, zone).isoformat(), "event": name}
        found |= {key: value for key, value in more.items() if value is not None}
        if isinstance(reason, Reason):
            return found | {"code": reason.code, "reason": reason.words}
        return found | {"reason": reason}

    def values(
        self, thread: Thread, session_at: datetime | None = None, proposal: Proposal | None = None
    ) -> dict[str, str]:
        known = fillings.of_thread(
            thread,
            self.policy,
            self.now,
            ideas=self.library.ideas,
            session_at=session_at,
            proposal=proposal,
        )
        places = {render.place_value(kind): "Riverside Family Center" for kind in PLACES}
        return {"org": _ORG, "staff": "Ana", "resource": "Riverside Family Center", **places, **known}

    def sent(self, proposal: Proposal, rendered: render.Rendered, reason: Reason) -> Event:
        zone = self.thread.profile.timezone
        window = [localtime.local(at, zone).isoformat() for at in proposal.window] if proposal.window else None
        return self.event(
            "send",
            reason,
            sequence=proposal.sequence,
            step=proposal.step,
            cycle=proposal.cycle,
            kind=proposal.kind.value,
            topic=proposal.topic.value,
            lang=rendered.lang,
            text=rendered.text,
            segments=rendered.segments.parts,
            expires_at=utc(proposal.expires_at),
            window=window,
        )

    def answer_later(self, step_id: str, mark: datetime) -> None:
        """Plan the scripted answer to this sending of `step_id`, if there is one: some time after its mark."""
        self.sent_counts[step_id] = self.sent_counts.get(step_id, 0) + 1
        for act in self.replies_to:
            if act.on == step_id and (act.every or act.nth == self.sent_counts[step_id]):
                at = max(mark + act.after, self.now)
                self.acts.append(replace(act, at=at, on=None))
        self.acts.sort(key=lambda act: (act.at, act.order))

    def enter(
        self,
        key: str,
        at_step: str | None = None,
        *,
        only: bool = False,
        spacing_days: int | None = None,
        in_line_since: datetime | None = None,
    ) -> list[Event]:
        sequence = self.library.sequences.get(key)
        if sequence is None:
            return [self.event("staff", f"{key} is not in the library.", sequence=key, priority=3)]
        now = localtime.minute(self.now)
        why_not = None if only else entry.refusal(sequence, self.thread, self.policy, now)
        if why_not is not None:
            return [self.event("staff", why_not, sequence=key, priority=2, task=f"{key} could not begin")]
        self.enrolled += 1
        if sequence.welcomes:
            self.thread = replace(self.thread, pace=replace(self.thread.pace, welcomed_at=None))
        self.thread = lifecycle.enroll(
            self.thread,
            sequence,
            enrollment_id=str(self.enrolled),
            now=now,
            policy=self.policy,
            at_step=at_step,
            only=only,
            spacing_days=spacing_days,
            in_line_since=in_line_since,
        )
        begun = [self.event("state", f"{key} begins.", sequence=key, state="started", step=at_step)]
        if str(self.enrolled) in beside.waiting(self.thread, self.policy, self.now):
            reason = Reason(code="two_at_once", words=f"{key} waits for its turn: enough others run already.")
            begun.append(self.event("state", reason, sequence=key, state="waiting"))
        missing = None if only else entry.missing_date(sequence, self.thread)
        if missing is not None:
            begun.append(self.event("staff", missing, sequence=key, priority=2, task=missing))
        return begun

    def dropped(self, drop: Drop, sequence: str, name: str = "drop") -> Event:
        return self.event(name, drop.reason, sequence=sequence, step=drop.step, again=drop.again or None)

    def task(self, task: StaffTask, before: Thread) -> Event:
        enrollment = before.enrollment(task.enrollment or "")
        return self.event(
            "staff",
            task.reason,
            sequence=enrollment.sequence.key if enrollment else None,
            step=task.step,
            priority=task.priority,
            task=task.words,
        )

    def new_id(self, key: str) -> str:
        self.enrolled += 1
        return str(self.enrolled)

    # ------------------------------------------------------------ acts of the parent

    def act(self, act: Act) -> list[Event]:
        if act.outage is not None:
            self.down_until = self.now + act.outage
            return []
        if act.text is not None:
            return self.text_in(act.text)
        return _STAFF[act.staff or ""](self, act)

    def text_in(self, text: str) -> list[Event]:
        events = [self.event("in", "The parent texted.", text=text)]
        word = text.strip().casefold()
        danger = self.screen(text) if self.screen and word not in carrier_words.OPT_OUT else None
        if danger is not None:
            left = self.leaves is not None and self.leaves(text, True)
            return events + self.danger(danger, text) + (self.stopped(text) if left else [])
        if word in carrier_words.OPT_OUT or (self.leaves is not None and self.leaves(text, False)):
            return events + self.stopped(text)
        if word in carrier_words.START:
            return events + self.revived(text)
        if word in carrier_words.HELP:
            return [*events, self.reply("help", text)]
        if self.thread.status == "opted_out":
            return events
        return events + self.answered(text)

    def stopped(self, text: str) -> list[Event]:
        return [self.reply("stop_done", text), *self.opted_out()]

    def opted_out(self) -> list[Event]:
        if self.thread.status != "opted_out":
            self.opted_out_at = self.now
        self.thread = replace(self.thread, status="opted_out")
        return [self.event("state", "Opted out.", state="opted_out")]

    def revived(self, text: str) -> list[Event]:
        """START after STOP; what was missed is not caught up on."""
        if self.thread.status != "opted_out":
            return [self.reply("already_joined", text)]
        thread = replace(self.thread, status="active")
        self.thread = lifecycle.resume(thread, self.now, self.policy, since=self.opted_out_at)
        return [self.reply("start_done", text), self.event("state", "START revives.", state="active")]

    def danger(self, danger: Danger, text: str) -> list[Event]:
        """Instructions at once at any hour, everything held, a person alerted (PR-12)."""
        kind = {"crisis": "crisis", "check": "check"}[danger.level]
        hold = Hold(kind="safety" if danger.tier == "abuse_dv" else kind, since=localtime.minute(self.now))
        self.thread = replace(self.thread, holds=(*self.thread.holds, hold))
        if danger.level == "crisis":
            report = KeyDate(kind="crisis_report", nth=1, at=localtime.minute(self.now))
            kept = tuple(k for k in self.thread.key_dates if (k.kind, k.nth) != (report.kind, report.nth))
            self.thread = replace(self.thread, key_dates=(*kept, report))
        reply = self.event(
            "send",
            danger.why,
            sequence="CRISIS",
            step="CRISIS",
            kind="crisis",
            topic="system",
            lang=self.thread.profile.pref_lang,
            text=danger.reply,
            segments=segments.count(danger.reply).parts,
            reply_to=text,
        )
        return [
            reply,
            self.event("hold", danger.why, hold=hold.kind, tier=danger.tier),
            self.event("staff", danger.why, priority=1, task="look at the alert now"),
        ]

    def reported(self, tier: str) -> Danger:
        """An answer that says so is a crisis, whatever a screen makes of any sentence (reading 10)."""
        screened = self.screen("someone may get hurt, they will hurt somebody right now") if self.screen else None
        profile = self.thread.profile
        texts = self.library.system["help_crisis_line"]
        lines = render.fill(texts, lang=profile.pref_lang, discreet=profile.discreet, values={}).text
        said = screened.reply if screened else lines
        return Danger(level="crisis", tier=tier, why="An answer says that somebody may get hurt.", reply=said)

    def answered(self, text: str) -> list[Event]:
        keys = {e.id: e.sequence.key for e in self.thread.enrollments}
        now = localtime.minute(self.now)
        outcome = answers.apply(self.thread, text, self.policy, now, library=self.library.sequences)
        self.thread = outcome.thread
        if not outcome.understood:
            return [
                self.reply("holding", text),
                self.event("staff", "A person reads it.", priority=2, task="reply"),
            ]
        if outcome.crisis_tier:  # the instructions come before everything else, and instead of thanks
            events = self.danger(self.reported(outcome.crisis_tier), text)
        else:
            events = [self.reply_of(reply, text) for reply in outcome.replies]
        for effect in outcome.effects:
            until = utc(effect.until) if effect.until else None
            events.append(self.event("effect", effect.words, effect=effect.verb, until=until))
        for end in outcome.ends:
            events += [self.dropped(drop, keys[end.enrollment]) for drop in end.left]
            events.append(self.event("state", end.reason, state="ended", sequence=keys[end.enrollment]))
        events += [self.task(task, self.thread) for task in outcome.tasks]
        for start in outcome.starts:
            events += self.enter(
                start.sequence,
                start.at_step,
                only=start.only,
                spacing_days=start.spacing_days,
                in_line_since=start.in_line_since,
            )
        if outcome.safety_hold:
            self.thread = replace(
                self.thread, holds=(*self.thread.holds, Hold(kind="safety", since=localtime.minute(self.now)))
            )
            events.append(self.event("hold", "An answer asked for safety first.", hold="safety"))
        self.change_profile(outcome.profile_changes)
        return events

    def change_profile(self, changes: Mapping[str, Any]) -> None:
        for key, value in changes.items():
            if key == "discreet":
                self.thread = replace(self.thread, profile=replace(self.thread.profile, discreet=True))
            elif key in ("pref_lang", "stage"):
                self.thread = replace(self.thread, profile=replace(self.thread.profile, **{key: value}))
            elif key == "calm_windows":
                week = profiles.by_weekday(value, profiles.spans, ())
                self.thread = replace(self.thread, profile=replace(self.thread.profile, calm_windows=week))
            elif key == "reasons":
                self.thread = replace(self.thread, profile=replace(self.thread.profile, reasons=tuple(value)))

    def reply_of(self, reply: answers.Reply, text: str) -> Event:
        texts = reply.texts
        if reply.system == "idea":
            idea = fillings.next_idea(self.thread, self.library.ideas, self.now, days=self.policy.idea_days)
            if idea is not None:
                pace = replace(self.thread.pace, ideas={**self.thread.pace.ideas, idea.id: self.now})
                self.thread = replace(self.thread, pace=pace)
            texts = idea.texts if idea is not None else self.library.system["person_soon"]
        elif reply.system is not None:
            return self.reply(reply.system, text, until=reply.until, lang=reply.lang)
        assert texts is not None
        profile = self.thread.profile
        values = self.values(self.thread)
        rendered = render.fill(texts, lang=profile.pref_lang, discreet=profile.discreet, values=values)
        return self.said(rendered, text, step=reply.step, sequence=reply.sequence, kind=reply.kind)

    def reply(self, system_id: str, text: str, *, until: datetime | None = None, lang: str | None = None) -> Event:
        profile = self.thread.profile
        profile = replace(profile, pref_lang=lang) if lang is not None else profile
        texts = self.library.system.get(system_id) or self.library.system["thanks"]
        known = self.values(self.thread)
        if until is not None:
            shown = localtime.local(until, profile.timezone)
            known["day"] = fillings.date_words(shown.date(), profile.pref_lang)
            known["time"] = fillings.clock_words(shown.time())
        rendered = render.fill(texts, lang=profile.pref_lang, discreet=profile.discreet, values=known)
        return self.said(rendered, text, step=system_id, sequence="SYSTEM", kind=Kind.SYSTEM)

    def said(
        self, rendered: render.Rendered, text: str, *, step: str | None, sequence: str | None, kind: Kind
    ) -> Event:
        if step is not None:
            self.answer_later(step, self.now)
        return self.event(
            "send",
            "A reply to the parent's own text.",
            sequence=sequence,
            step=step,
            kind=kind.value,
            topic="system",
            lang=rendered.lang,
            text=rendered.text,
            segments=rendered.segments.parts,
            reply_to=text,
        )

    # ------------------------------------------------------------ acts of staff

    def release(self, act: Act) -> list[Event]:
        if not self.thread.holds:
            return [self.event("staff", "Nothing was held.", task="release")]
        since = min(hold.since for hold in self.thread.holds)
        path = lifecycle.Path(act.path)
        self.thread = progress.staff_done(
            lifecycle.released(
                replace(self.thread, holds=()),
                path,
                localtime.minute(self.now),
                self.policy,
                since=since,
                at_step=act.step,
                until=act.to,
                talks_may_go_on=act.talks,
            )
        )
        released = self.event("release", f"A person released the hold: {path.value}.")
        if path is not lifecycle.Path.AFTERCARE:
            return [released]
        keys = [key for key, s in self.library.sequences.items() if s.traits.firm]
        return [released, *(event for key in keys for event in self.enter(key))]

    def settle(self, act: Act) -> list[Event]:
        """A person settles the open question with the digit that the parent gave them."""
        return [
            self.event("staff", "A person settles the open question.", task="settle"),
            *self.answered(act.step or ""),
        ]

    def done(self, act: Act) -> list[Event]:
        self.thread = progress.staff_done(self.thread)
        return [self.event("staff", "A person has done what was asked.", task="done")]

    def move(self, act: Act) -> list[Event]:
        assert act.to is not None
        changed = KeyDate(kind=act.key or "session", nth=act.nth, at=localtime.minute(act.to))
        kept = tuple(k for k in self.thread.key_dates if (k.kind, k.nth) != (changed.kind, changed.nth))
        self.thread = replace(self.thread, key_dates=(*kept, changed), pace=replace(self.thread.pace, planned=()))
        said = localtime.local(act.to, self.thread.profile.timezone).isoformat()
        return [self.event("staff", f"{changed.kind} {changed.nth} is now {said}.", task=f"{act.staff} {act.key}")]

    def cancel(self, act: Act) -> list[Event]:
        dates = tuple(
            replace(k, status="cancelled") if (k.kind, k.nth) == (act.key, act.nth) else k
            for k in self.thread.key_dates
        )
        self.thread = replace(self.thread, key_dates=dates)
        return [self.event("staff", f"{act.key} {act.nth} is cancelled.", task=f"cancel {act.key}")]


_STAFF: Mapping[str, Callable[[Life, Act], list[Event]]] = {
    "release": Life.release,
    "move": Life.move,
    "set": Life.move,
    "cancel": Life.cancel,
    "settle": Life.settle,
    "done": Life.done,
}


def utc(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
