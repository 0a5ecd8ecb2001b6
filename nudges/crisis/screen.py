"""The door: one inbound text in, one answer out. It never raises, never hangs, and no keyword can silence it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from nudges.crisis import decide, exact, reactions, replies, rulebook, second, window
from nudges.crisis.edition import Edition, Said, in_force
from nudges.crisis.grammar import Match
from nudges.crisis.normalise import Folded
from nudges.crisis.values import Level, Screening

BUDGET_SECONDS = 0.25  # then a person looks: an answer that comes late is no answer
_CHUNK = 1_800  # characters read at once: a whole text message of the longest kind
_OVERLAP = 200
FAILED = "none"  # the version of an answer that no rule and no model gave
_RANK = {Level.ORDINARY: 0, Level.CHECK: 1, Level.CRISIS: 2}


def screen(
    text: str,
    *,
    recent: Sequence[str] = (),
    own_texts: Sequence[str] = (),
    open_episode: bool = False,
    by: Edition | None = None,
) -> Screening:
    """Read one text for danger.

    `recent`: the sender's texts of the last three minutes, oldest first. `own_texts`: what we sent to this
    phone lately, so that
    a reaction that quotes us is not read as danger. `open_episode`: a crisis of this family is not resolved
    yet.
    `by`: an edition that is only tried; none means the one in force.
    Any failure answers `check`, and `why` says so.
    """
    try:
        return _Reader(time.perf_counter, by or in_force()).screen(text, recent, own_texts, open_episode)
    except Exception as error:  # the one place where every failure must become a safety check
        return _failed(f"the screen failed ({type(error).__name__})")


def status() -> dict[str, str]:
    """What is loaded, for the status page: rules, model, and whether sentence vectors work."""
    book = rulebook.load()
    return {
        "rules": book.digest,
        "model": second.load().version,
        "vectors": second.load().vectors,
        "version": version(),
    }


def version() -> str:
    """Names rules, model, thresholds and the edition in force; the same version gives the same answers."""
    return core_version() + in_force().name


def core_version() -> str:
    """Names what is shipped: rules, model and thresholds."""
    return f"rules-{rulebook.load().digest}+model-{second.load().version}"


@dataclass(slots=True)
class _Reader:
    """One screening with its clock."""

    timer: Callable[[], float]
    edition: Edition = field(default_factory=in_force)
    deadline: float = 0.0

    def screen(self, text: str, recent: Sequence[str], own_texts: Sequence[str], open_episode: bool) -> Screening:
        self.deadline = self.timer() + BUDGET_SECONDS
        reaction = reactions.read(text, (*own_texts, *replies.every_text(self.edition)))
        if reaction is not None:
            if not reaction.rest:
                return _of_reaction(reaction.uneasy and open_episode)
            text = reaction.rest
        found = self._read(text, open_episode)
        if found.level is not Level.CRISIS and recent and not all(map(_is_bare, (text, *recent))):
            found = self._with_window(text, recent, found, open_episode)
        return found

    def _read(self, text: str, open_episode: bool) -> Screening:
        worst: Screening | None = None
        for piece in _pieces(text):
            if self.timer() > self.deadline:
                return _worse(worst, _failed("the screen ran out of time"))
            worst = _worse(worst, self._read_piece(piece, open_episode))
        return worst or _read_nothing(open_episode)

    def _read_piece(self, text: str, open_episode: bool) -> Screening:
        book = rulebook.load()
        folded = book.fold(text)
        if not folded.tokens:
            return _read_nothing(open_episode)
        said = self.edition.find(folded)
        called = None if said.found else exact.bare(folded.words)
        if called is not None:
            return _bare(called, folded, open_episode)
        if folded.unreadable:
            return _plain(Level.CHECK, "it is in letters that the screen cannot read")
        return self._weigh(text, folded, said, open_episode)

    def _weigh(self, text: str, folded: Folded, said: Said, open_episode: bool) -> Screening:
        """The decision, with a note of the phrases on trial that would have made it milder."""
        found = self._decide(text, folded, said, said.covers, open_episode)
        if not said.shadow or found.level is Level.ORDINARY:
            return found
        covers = (*said.covers, *(match for _, match in said.shadow))
        milder = self._decide(text, folded, said, covers, open_episode)
        if _RANK[milder.level] >= _RANK[found.level]:
            return found
        return replace(found, shadow=tuple(dict.fromkeys(name for name, _ in said.shadow)))

    def _decide(self, text: str, folded: Folded, said: Said, covers: Sequence[Match], open_episode: bool) -> Screening:
        """Words that a phrase covers are read as if they had not been sent; all others still count."""
        hits = self.edition.adjusted(rulebook.load().read(text, folded, more=said.found, covers=covers))
        rest = folded.without_places(frozenset(place for match in covers for place in match.taken))
        scores = second.load().score(rest, hits) if rest is not None else None
        by = core_version() + self.edition.name
        return decide.decide(hits, scores, folded.words, open_episode=open_episode, version=by)

    def _with_window(self, text: str, recent: Sequence[str], found: Screening, open_episode: bool) -> Screening:
        """The joined reading counts only when it is worse than what the earlier texts already said."""
        known = max((_RANK[self._read(way, False).level] for way in window.before(recent)), default=0)
        for way in window.joins(text, recent):
            if self.timer() > self.deadline:
                return _worse(found, _failed("the screen ran out of time"))
            joined = self._read(way, open_episode)
            if _RANK[joined.level] > known:
                found = _worse(found, replace(joined, why=joined.why + " Read together with the texts just before it."))
        return found


def _pieces(text: str) -> Iterator[str]:
    """The whole text, long ones in overlapping parts, so that nothing is cut off and time can be watched."""
    for start in range(0, max(len(text), 1), _CHUNK):
        yield text[max(0, start - _OVERLAP) : start + _CHUNK]


def _worse(a: Screening | None, b: Screening) -> Screening:
    if a is None or (_RANK[b.level], b.severity) > (_RANK[a.level], a.severity):
        return b
    return a


def _plain(level: Level, reason: str, severity: int | None = None) -> Screening:
    fallback = {Level.CRISIS: 4, Level.CHECK: 1, Level.ORDINARY: 0}[level]
    return Screening(
        level=level,
        tier=None,
        severity=fallback if severity is None else severity,
        why=f"{level.value.capitalize()}: {reason}.",
        version=version(),
    )


def _bare(level: Level, folded: Folded, open_episode: bool) -> Screening:
    if level is Level.CRISIS:
        return _plain(level, "it is a bare call for emergency help")
    if level is Level.CHECK:
        return _plain(level, "it is a bare call for help")
    if open_episode and {"help", "ayuda"}.intersection(folded.words):
        return _plain(Level.CHECK, "it asks for help while an episode is open")
    return _plain(Level.ORDINARY, "it is only a command, an answer or a number")


def _is_bare(text: str) -> bool:
    """Only a command, an answer or a number: glued together, several of them are no word of anybody's."""
    return exact.bare(rulebook.load().fold(text).words) is Level.ORDINARY


def _read_nothing(open_episode: bool) -> Screening:
    if open_episode:
        return _plain(Level.CHECK, "it has no words, and an episode is open")
    return _plain(Level.ORDINARY, "it has no words")


def _of_reaction(uneasy: bool) -> Screening:
    if uneasy:
        return _plain(Level.CHECK, "it is an uneasy reaction to our text while an episode is open")
    return _plain(Level.ORDINARY, "it is a reaction to our own text")


def _failed(reason: str) -> Screening:
    """Must not fail itself: it reads no file."""
    return Screening(
        level=Level.CHECK,
        tier=None,
        severity=1,
        why=f"Check: {reason}, so a person must read this text.",
        version=FAILED,
    )
