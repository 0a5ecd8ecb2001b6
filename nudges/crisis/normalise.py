"""Undoes what phones, hurry and evasion do to words, so that one rule sees one spelling.

Every token remembers where it stood in the text as sent. Steps, each small and linear: fold characters (NFKC,
accents,
look-alikes, zero-width, emoji), split, join spaced-out letters, then for each word: contraction or chat form,
leet, stretched
letters, glued words, one typo. Nothing is ever respelled that is a common word of either language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import yaml

_HERE = Path(__file__).parent
_FOLDS = yaml.safe_load((_HERE / "folds.yaml").read_text(encoding="utf-8"))
_LOOKALIKES: dict[str, str] = _FOLDS["lookalikes"]
_EMOJI: dict[str, str] = _FOLDS["emoji"]
_FORMS: dict[str, tuple[str, ...]] = {k: tuple(v.split()) for k, v in _FOLDS["forms"].items()}

# One class, one quantifier: linear on any input. The symbols are leet letters and are trimmed from a word's
# ends.
_WORD = re.compile(r":[a-z]+:|[a-z0-9'@$!|+*#]+|[.?;\n]|[^\sa-z0-9]")
_LEET = str.maketrans("013457@$!|8", "oieastasiib")
_LEET_L = str.maketrans("013457@$!|8", "oleastaslib")
_LEET_MARKS = frozenset("0134578@$!|*#+")
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
SENTENCE_END = frozenset(".?!;\n")
_MIN_TYPO, _MIN_GLUED, _MAX_GLUED = 5, 8, 40


@dataclass(frozen=True, slots=True)
class Token:
    """One folded word or mark, and the half-open span of the sent text that it came from."""

    word: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A text ready for rules: tokens, and for each token the number of the sentence that holds it.

    `written` is the text as a reader would see it, cut so that piece i ends with token i; the last piece is the rest.
    """

    tokens: tuple[Token, ...]
    sentence: tuple[int, ...]
    written: tuple[str, ...]
    unreadable: bool
    words: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", tuple([token.word for token in self.tokens]))

    def without(self, words: frozenset[str]) -> Folded:
        """The same text as if these words had not been sent; at least one token stays."""
        kept = [i for i, token in enumerate(self.tokens) if token.word not in words]
        return self._only(kept) if kept else self

    def without_places(self, places: frozenset[int]) -> Folded | None:
        """The same text without these tokens; None when no word would be left."""
        kept = [i for i in range(len(self.tokens)) if i not in places]
        return self._only(kept) if any(self.tokens[i].word[0].isalnum() for i in kept) else None

    def _only(self, kept: Sequence[int]) -> Folded:
        if len(kept) == len(self.tokens):
            return self
        return Folded(
            tokens=tuple(self.tokens[i] for i in kept),
            sentence=tuple(self.sentence[i] for i in kept),
            written=(*(self.written[i] for i in kept), self.written[-1]),
            unreadable=self.unreadable,
        )

    def readable_from(self, start: int) -> str:
        """The text from token `start` on, accents and emoji kept, disguised and misspelled words mended."""
        return "".join(self.written[start:]).strip()


@lru_cache(maxsize=4096)
def _fold_char(char: str) -> str:
    """What one character becomes: "" for what cannot be seen, a spaced name for a telling emoji."""
    if char.isascii():
        return char.lower()
    if char in _EMOJI:
        return f" {_EMOJI[char]} "
    if 0x1F1E6 <= ord(char) <= 0x1F1FF:  # flags that spell a word: regional indicator A is U+1F1E6
        return chr(ord("a") + ord(char) - 0x1F1E6)
    if 0x1F170 <= ord(char) <= 0x1F189:  # squared letters, which NFKC leaves alone
        return chr(ord("a") + ord(char) - 0x1F170)
    lowered = char.casefold()
    if lowered in _LOOKALIKES:
        return _LOOKALIKES[lowered]
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", char).casefold())
    kept = (c for c in plain if unicodedata.category(c) not in ("Mn", "Me", "Cf"))
    return "".join(_LOOKALIKES.get(c, c) for c in kept)


def _fold_chars(text: str) -> tuple[str, Sequence[int]]:
    """The folded text, and for each of its characters the index of the sent character."""
    if text.isascii():
        return text.lower(), range(len(text))
    out: list[str] = []
    origin: list[int] = []
    for index, char in enumerate(text):
        folded = _fold_char(char)
        out.append(folded)
        origin.extend([index] * len(folded))
    return "".join(out), origin


def _split(text: str) -> Iterator[Token]:
    folded, origin = _fold_chars(text)
    for match in _WORD.finditer(folded):
        yield Token(match.group(), origin[match.start()], origin[match.end() - 1] + 1)


def _join_spelled_out(tokens: list[Token]) -> Iterator[Token]:
    """`k i l l`, `k.i.l.l` and `k-i-l-l` become one word; two letters in a row stay as they are."""
    run: list[Token] = []
    marks: list[Token] = []
    for token in tokens:
        if len(token.word) == 1 and (token.word.isalpha() or (run and token.word in "0134578@$!|")):
            run.append(token)
            marks.clear()
        elif run and token.word in ".-_*,/" and not marks:
            marks.append(token)
        else:
            yield from _close_run(run, marks)
            run, marks = [], []
            yield token
    yield from _close_run(run, marks)


def _close_run(run: list[Token], marks: list[Token]) -> Iterator[Token]:
    if len(run) >= 3:
        yield Token("".join(t.word for t in run), run[0].start, run[-1].end)
    else:
        yield from run
    yield from marks


def _squeezed(word: str, most: int) -> str:
    """Runs of three or more letters cut to `most`; shorter runs stay."""
    out: list[str] = []
    index = 0
    while index < len(word):
        end = index
        while end < len(word) and word[end] == word[index]:
            end += 1
        run = end - index
        out.append(word[index] * (most if run >= 3 else run))
        index = end
    return "".join(out)


def _sounds(word: str) -> str:
    """A key that is equal for Spanish spellings of one sound: b/v, s/c/z, ll/y, silent h, k/qu."""
    for old, new in (
        ("qu", "k"),
        ("ce", "se"),
        ("ci", "si"),
        ("ll", "y"),
        ("h", ""),
        ("v", "b"),
        ("z", "s"),
        ("c", "k"),
    ):
        word = word.replace(old, new)
    return word


def _shortened(word: str) -> Iterator[str]:
    yield word
    for index in range(len(word)):
        yield word[:index] + word[index + 1 :]


def _one_edit_apart(a: str, b: str) -> bool:
    """One letter added, lost, changed, or two neighbours swapped."""
    if abs(len(a) - len(b)) > 1:
        return False
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    rest_a, rest_b = a[head:], b[head:]
    if rest_a[1:] == rest_b[1:] or rest_a[1:] == rest_b or rest_a == rest_b[1:]:
        return True
    return rest_a[:2] == rest_b[:2][::-1] and rest_a[2:] == rest_b[2:]


def _load_known() -> frozenset[str]:
    lines = (_HERE / "known_words.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


@dataclass(slots=True)
class Speller:
    """Turns one written word into the words that rules know. `vocabulary` is every word that a rule uses."""

    vocabulary: frozenset[str]
    known: frozenset[str] = field(default_factory=_load_known)
    _near: dict[str, list[str]] = field(default_factory=dict)
    _by_sound: dict[str, str] = field(default_factory=dict)
    _seen: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for word in sorted(self.vocabulary):
            if len(word) < _MIN_TYPO or not word.isalpha():
                continue
            self._by_sound.setdefault(_sounds(word), word)
            for short in _shortened(word):
                self._near.setdefault(short, []).append(word)

    def is_word(self, word: str) -> bool:
        return word in self.vocabulary or word in self.known or word in _FORMS

    def spell(self, written: str) -> tuple[str, ...]:
        """The words behind one written word; the word itself where nothing better is sure."""
        found = self._seen.get(written)
        if found is None:
            found = self._spell(written)
            if len(self._seen) < 20_000:  # a cache, not a leak
                self._seen[written] = found
        return found

    def _spell(self, written: str) -> tuple[str, ...]:
        word = written.strip("'")
        for read in (self._leet, self._plain):
            found = read(word)
            if found:
                return found
        bare = word.strip("!|*#+@$'")
        return (bare,) if bare else ()

    def _plain(self, word: str) -> tuple[str, ...]:
        word = word.strip("!|*#+@$'")
        if word in _FORMS:
            return _FORMS[word]
        if word.endswith("'s"):
            word = word[:-2]
        word = word.replace("'", "")
        if word in _FORMS:
            return _FORMS[word]
        if self.is_word(word) or not word.isalpha():
            return (word,) if word else ()
        return self._stretched(word) or self._glued(word) or self._typo(word)

    def _leet(self, word: str) -> tuple[str, ...]:
        """`su1c1de`, `k!ll`, `s*icide`; else only with a sign between letters, so `12yo` and `call!` stay."""
        word = word.rstrip("!'")
        if len(word) > 24 or not _LEET_MARKS.intersection(word) or not any(c.isalpha() for c in word):
            return ()
        for table in (_LEET, _LEET_L):
            candidate = word.translate(table)
            found = self._starred(candidate) if "*" in candidate or "#" in candidate else candidate
            for form in (found, _squeezed(found, 1)):
                if len(form) >= 3 and (form in self.vocabulary or form in _FORMS):
                    return _FORMS.get(form, (form,))
            glued = self._glued(found) if found.isalpha() else ()
            if glued:
                return glued
        # A sign between two letters is a disguise also in a word that we do not know: `tr4il3r`.
        plain = word.translate(_LEET)
        inside = any(
            a.isalpha() and not b.isalpha() and c.isalpha() for a, b, c in zip(word, word[1:], word[2:], strict=False)
        )
        return (plain,) if inside and plain.isalpha() else ()

    def _starred(self, word: str) -> str:
        """One hidden letter at a time (`s*icide`, `s#icide`), at most two."""
        hidden = [i for i, c in enumerate(word) if c in "*#"]
        if len(word) < 4 or len(hidden) > 2:
            return word
        guesses = [word]
        for index in hidden:
            guesses = [g[:index] + letter + g[index + 1 :] for g in guesses for letter in _LETTERS]
        return next((g for g in guesses if g in self.vocabulary and len(g) >= 4), word)

    def _stretched(self, word: str) -> tuple[str, ...]:
        twice, once = _squeezed(word, 2), _squeezed(word, 1)
        if once == word:
            return ()
        for form in (twice, once):
            if self.is_word(form):
                return _FORMS.get(form, (form,))
        return self._typo(once)

    def _glued(self, word: str) -> tuple[str, ...]:
        """`killherself` into two words, when every piece is a word and one piece is a rule's."""
        if not _MIN_GLUED <= len(word) <= _MAX_GLUED:
            return ()
        best: list[tuple[str, ...] | None] = [()] + [None] * len(word)
        for end in range(2, len(word) + 1):
            for start in range(max(0, end - 14), end - 1):
                before, piece = best[start], word[start:end]
                if before is None or not (piece in self.vocabulary or piece in self.known):
                    continue
                grown = (*before, piece)
                current = best[end]
                if current is None or len(grown) < len(current):
                    best[end] = grown
        found = best[len(word)]
        if not found or len(found) > 4 or not any(p in self.vocabulary and len(p) > 3 for p in found):
            return ()
        return tuple(form for piece in found for form in _FORMS.get(piece, (piece,)))

    def _typo(self, word: str) -> tuple[str, ...]:
        if not _MIN_TYPO <= len(word) <= 24:
            return (word,)
        if _sounds(word) in self._by_sound:
            return (self._by_sound[_sounds(word)],)
        near = sorted({w for short in _shortened(word) for w in self._near.get(short, ())})
        close = [w for w in near if w[0] == word[0] and _one_edit_apart(word, w)]
        return (close[0],) if close else (word,)


def fold(text: str, speller: Speller) -> Folded:
    """Tokens of `text` (any string, any length) in the spelling that rules use."""
    tokens: list[Token] = []
    sentence: list[int] = []
    written: list[str] = []
    number = done = 0
    between = ""
    for raw in _join_spelled_out(list(_split(text))):
        spelled = speller.spell(raw.word) if _is_wordlike(raw.word) else (raw.word,)
        between += _visible(text[done : raw.start])
        seen = _written(text[raw.start : raw.end], raw.word, spelled) if raw.end > done else ""
        for index, word in enumerate(spelled):
            tokens.append(Token(word, raw.start, raw.end))
            sentence.append(number)
            written.append("" if index else between + seen)
        between = "" if spelled else between + seen
        done = max(done, raw.end)
        if raw.word[-1] in SENTENCE_END:
            number += 1
    return Folded(
        tokens=tuple(tokens), sentence=tuple(sentence), written=(*written, between), unreadable=_is_foreign(text)
    )


def _is_wordlike(word: str) -> bool:
    return (word[0].isalnum() or word[-1].isalnum()) and not (word[0] == ":" and len(word) > 2)


def _written(sent: str, word: str, spelled: Sequence[str]) -> str:
    """How the sentence model should see a word: as sent, unless it was disguised or misspelled."""
    bare = word.strip("'!|*#+@$")
    if bare in _FORMS or " ".join(spelled) == bare.removesuffix("'s").replace("'", ""):
        return _visible(sent)
    return " ".join(spelled)


def _visible(sent: str) -> str:
    """Accents and emoji stay; what cannot be seen goes, and look-alikes become what they look like."""
    if sent.isascii():
        return sent
    seen = (c for c in unicodedata.normalize("NFKC", sent) if unicodedata.category(c) != "Cf")
    return "".join(_LOOKALIKES.get(c.casefold(), c) for c in seen)


def _is_foreign(text: str) -> bool:
    """True when most letters are of a script that neither rules nor model can read."""
    if text.isascii():
        return False
    letters = [c for c in text if c.isalpha()]
    strange = sum(1 for c in letters if not _fold_char(c)[:1].isascii())
    return strange > 6 and strange * 2 > len(letters)
