"""What each service word does at once: PAUSE, LESS, HARD, READY and the others (content.md §1.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from schedules import consequences, fillings, lifecycle, talk_effects
from schedules.draft import Draft, Reply
from schedules.values import Effect, Enrollment, Kind, Step
from schedules.words import Word

_PAUSE_WEEKS = 2
_MOST_PAUSE_WEEKS = 26


def say(draft: Draft, word: Word) -> None:
    """Carry out one service word. What a running step or sequence says about the word goes first (LATER after TK-4)."""
    for enrollment in draft.thread.enrollments:
        step = _last_step_with(enrollment, word.name)
        meaning = step.words[word.name] if step is not None else enrollment.sequence.words.get(word.name)
        if meaning is not None:
            for effect in meaning:
                consequences.run(draft, enrollment.id, effect, step=step.id if step is not None else "")
            if not draft.replies:  # MOVE has asked for the date already
                draft.replies.append(Reply(system="later_ok" if word.name == "LATER" else "ready_ok"))
            return
    _WORDS[word.name](draft, word)


def _last_step_with(enrollment: Enrollment, word: str) -> Step | None:
    """The last step sent in this enrollment that gives the word a meaning of its own."""
    sent = [s for s in enrollment.sequence.steps if enrollment.cycles.get(s.id) and word in s.words]
    return sent[-1] if sent else None


def _pause(draft: Draft, word: Word) -> None:
    weeks = min(max(word.number or _PAUSE_WEEKS, 1), _MOST_PAUSE_WEEKS)
    until = draft.in_days(7 * weeks)
    draft.thread = lifecycle.pause(draft.thread, until, draft.now)
    draft.pause_until = until
    draft.did("pause", f"Paused for {weeks} weeks.", until=until)
    draft.replies.append(Reply(system="paused", until=until))


def _resume(draft: Draft, word: Word) -> None:
    if draft.thread.status == "paused":
        draft.thread = lifecycle.resume(draft.thread, draft.now, draft.policy)
        draft.did("resume", "The pause is over.")
    draft.replies.append(Reply(system="resumed"))


def _less(draft: Draft, word: Word) -> None:
    draft.pace(volume="less")
    draft.did("volume", "At most one text a week from now on.")
    draft.replies.append(Reply(system="less"))


def _more(draft: Draft, word: Word) -> None:
    volume = "normal" if draft.thread.pace.volume == "less" else "more"
    draft.pace(volume=volume)
    draft.did("volume", "Up to three texts a week.")
    draft.replies.append(Reply(system="more"))


def _time(draft: Draft, word: Word) -> None:
    draft.task(2, "wants to set calm times")
    draft.did("time", "A person sets the calm times with the parent.")
    draft.replies.append(Reply(system="time_ask"))


def _hard(draft: Draft, word: Word) -> None:
    """A hard moment, reported unasked: cool-down, a longer talk gap, REPAIR (PR-04, reading 5)."""
    for verb, args in (("cool", ()), ("talk_gap", (str(draft.policy.talk_gap_badly_days),))):
        talking = next((e.id for e in draft.thread.enrollments if _has_talk_ahead(e)), "")
        consequences.run(draft, talking, Effect(verb=verb, args=args))
    draft.start_begun_by("HARD")
    if not draft.replies:
        draft.replies.append(Reply(system="thanks_badly"))


def _has_talk_ahead(enrollment: Enrollment) -> bool:
    pending = {p.step for p in enrollment.agenda}
    return any(s.kind is Kind.TALK and s.id in pending for s in enrollment.sequence.steps)


def _ready(draft: Draft, word: Word) -> None:
    """Bring the talk to the next fitting window; with nothing running, begin what the word begins."""
    for enrollment in draft.thread.enrollments:
        talk = next((s for s in enrollment.sequence.steps if s.kind is Kind.TALK), None)
        question = draft.thread.pace.question
        if talk is not None and not (question is not None and question.settles):
            draft.pace(wait_until=None)
            talk_effects.ready(draft, enrollment, talk)
            draft.did("ready", f"{talk.id} comes ahead of the next calm window that fits.")
            draft.replies.append(Reply(system="ready_ok"))
            return
    if not draft.thread.enrollments and draft.start_begun_by("READY"):
        draft.replies.append(Reply(system="ready_ok"))
        return
    draft.task(3, "wants to try a talk, and nothing that runs now leads to one")
    draft.replies.append(Reply(system="person_soon"))


def _later(draft: Draft, word: Word) -> None:
    """Not now: the talk comes again ahead of a later window, with its closing question."""
    for enrollment in draft.thread.enrollments:
        talk = next((s for s in enrollment.sequence.steps if s.kind is Kind.TALK), None)
        if talk is not None and enrollment.cycles.get(talk.id):
            consequences.run(draft, enrollment.id, Effect(verb="again", args=(talk.id,)))
    draft.replies.append(Reply(system="later_ok"))


def _date(draft: Draft, word: Word) -> None:
    draft.asks_date = "session"
    draft.task(2, "wants to move or record a session")
    draft.did("ask_date", "Asked for the new date.")
    draft.replies.append(Reply(system="date_ask"))


def _idea(draft: Draft, word: Word) -> None:
    """One idea at once. Without contact none fits, and a person answers instead."""
    if not fillings.may_have_ideas(draft.thread.profile):
        draft.task(3, "asks for an idea for time together, which no contact plan allows")
        draft.replies.append(Reply(system="person_soon"))
        return
    draft.pace(ideas_sent=draft.thread.pace.ideas_sent + 1)
    draft.did("idea", "An idea is sent at once.")
    draft.replies.append(Reply(system="idea", kind=Kind.IDEA))


def _resources(draft: Draft, word: Word) -> None:
    draft.start_begun_by("RESOURCES")
    draft.replies.append(Reply(system="resources_ok"))


def _english(draft: Draft, word: Word) -> None:
    draft.profile_changes["pref_lang"] = "en"
    draft.replies.append(Reply(system="language_set", lang="en"))


def _espanol(draft: Draft, word: Word) -> None:
    draft.profile_changes["pref_lang"] = "es"
    draft.replies.append(Reply(system="language_set", lang="es"))


def _quiet(draft: Draft, word: Word) -> None:
    draft.profile_changes["discreet"] = "true"
    draft.replies.append(Reply(system="discreet_on"))


def _person(draft: Draft, word: Word) -> None:
    draft.task(2, "asks for a person")
    draft.replies.append(Reply(system="person_soon"))


def _break(draft: Draft, word: Word) -> None:
    """A break is a state that staff open; the word asks them to."""
    draft.task(2, "asks for a break from sessions")
    draft.replies.append(Reply(system="person_soon"))


_WORDS: Mapping[str, Callable[[Draft, Word], None]] = {
    "PAUSE": _pause,
    "RESUME": _resume,
    "LESS": _less,
    "MORE": _more,
    "TIME": _time,
    "HARD": _hard,
    "READY": _ready,
    "LATER": _later,
    "MOVE": _date,
    "SESSION": _date,
    "IDEA": _idea,
    "RESOURCES": _resources,
    "ENGLISH": _english,
    "ESPANOL": _espanol,
    "QUIET": _quiet,
    "PERSON": _person,
    "BREAK": _break,
}
