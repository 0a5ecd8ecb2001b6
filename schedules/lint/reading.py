"""How hard a text is to read: Flesch-Kincaid grade in English, INFLESZ and Fernandez-Huerta in Spanish.

Sources: Kincaid et al. 1975; Barrio-Cantalejo et al. 2008 (INFLESZ); Fernandez Huerta 1959; limits of content.md §4.4.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from schedules.lint.findings import Fault
from schedules.lint.rulebook import rulebook

_MOST_WORDS = 15  # in a sentence
_MOST_SYLLABLES = 3
# The formulas were made for passages. Below a dozen words one long word decides, so only a very hard text is an error.
_FEWEST_WORDS = 12
_TOO_FEW_WORDS = 7  # to say anything but a warning
_HARDEST_GRADE, _HARDEST_SHORT_GRADE = 6.9, 10.0
_LEAST_EASE, _LEAST_SHORT_EASE = 65.0, 50.0
_SPOKEN = {"every": 2, "evening": 2, "different": 3, "separate": 3, "family": 3, "favorite": 3, "something": 2}


def faults(text: str, lang: str) -> list[Fault]:
    """What is hard about `text` (placeholders unfilled). Nothing for a text without words."""
    sentences = prose(text)
    words = [word for sentence in sentences for word in sentence]
    if not words:
        return []
    found = [_graded(sentences, words)] if lang == "en" else [*_eased(sentences, words)]
    long = [" ".join(sentence) for sentence in sentences if len(sentence) > _MOST_WORDS]
    rule = f"READ-{lang.upper()}"
    found += [_warning(rule, f"a sentence has {len(s.split())} words, at most {_MOST_WORDS}", s) for s in long]
    if lang == "en":
        found += [_warning(rule, f"'{word}' is a long word", word) for word in hard_words(words)]
    return [fault for fault in found if fault]


def prose(text: str) -> list[list[str]]:
    """Sentences as lists of words; a listed option is a sentence of its own."""
    unlisted = re.sub(r"(?m)^\d ", ". ", text)
    clean = re.sub(r"\{\w+\}", "", unlisted).replace("24/7", "")
    pieces = re.split(r"[.!?:;\n]+", clean)
    words = [re.findall(r"[^\W\d_]+(?:'[a-z]+)?", piece) for piece in pieces]
    return [found for found in words if found]


def hard_words(words: list[str]) -> list[str]:
    """English words of more than three syllables, but for those that no plainer word replaces."""
    allowed = rulebook().words["long_words_ok"]
    return [w for w in dict.fromkeys(words) if syllables_en(w) > _MOST_SYLLABLES and w.lower() not in allowed]


def grade(text: str) -> float:
    """Flesch-Kincaid grade of an English text that has words."""
    sentences = prose(text)
    return _grade(sentences, [word for sentence in sentences for word in sentence])


def ease(text: str) -> float:
    """INFLESZ of a Spanish text that has words; higher is easier."""
    sentences = prose(text)
    return _inflesz(sentences, [word for sentence in sentences for word in sentence])


def _grade(sentences: list[list[str]], words: list[str]) -> float:
    return 0.39 * len(words) / len(sentences) + 11.8 * _per_word(syllables_en, words) - 15.59


def _inflesz(sentences: list[list[str]], words: list[str]) -> float:
    return 206.835 - 62.3 * _per_word(syllables_es, words) - len(words) / len(sentences)


def _huerta(sentences: list[list[str]], words: list[str]) -> float:
    return 206.84 - 60 * _per_word(syllables_es, words) - 1.02 * len(words) / len(sentences)


def _per_word(syllables: Callable[[str], int], words: list[str]) -> float:
    return sum(map(syllables, words)) / len(words)


def _graded(sentences: list[list[str]], words: list[str]) -> Fault | None:
    score = _grade(sentences, words)
    if score <= 6.0:
        return None
    limit = _HARDEST_GRADE if len(words) >= _FEWEST_WORDS else _HARDEST_SHORT_GRADE
    severity = "error" if score > limit and len(words) >= _TOO_FEW_WORDS else "warning"
    return Fault(rule="READ-EN", words=f"reads at grade {score:.1f}, at most 6.0", severity=severity)


def _eased(sentences: list[list[str]], words: list[str]) -> list[Fault]:
    score, huerta = _inflesz(sentences, words), _huerta(sentences, words)
    found = []
    if score < 70:
        limit = _LEAST_EASE if len(words) >= _FEWEST_WORDS else _LEAST_SHORT_EASE
        severity = "error" if score < limit and len(words) >= _TOO_FEW_WORDS else "warning"
        found.append(Fault(rule="READ-ES", words=f"has an INFLESZ of {score:.1f}, at least 70", severity=severity))
    if huerta < 75:
        found.append(_warning("READ-ES", f"has a Fernandez-Huerta of {huerta:.1f}, at least 75", ""))
    return found


def _warning(rule: str, words: str, tripped: str) -> Fault:
    return Fault(rule=rule, words=words, tripped=tripped, severity="warning")


@lru_cache(maxsize=8192)
def syllables_en(word: str) -> int:
    """Vowel groups, without the silent ending."""
    low = word.lower()
    if low in _SPOKEN:
        return _SPOKEN[low]
    low = re.sub(r"^(some|every)(?=[a-z])", lambda m: m.group().rstrip("e").replace("ery", "ry"), low)
    low = re.sub(r"(?:[aeiouy]les?|[^laeiouy]es|[^td]ed|[^l]e)$", lambda m: m.group()[0], low) if len(low) > 3 else low
    return max(1, len(re.findall(r"[aeiouy]+", low)))


@lru_cache(maxsize=8192)
def syllables_es(word: str) -> int:
    """Vowel groups, with two strong vowels and an accented weak one counted apart."""
    low = re.sub(r"[qg]u(?=[eiéí])", "q", word.lower())
    groups = re.findall(r"[aeiouáéíóúüy]+", re.sub(r"y(?=[aeiouáéíóú])", "j", low))
    return max(1, sum(1 + len(re.findall(r"(?<=[aeoáéó])[aeoáéóíú]|(?<=[íú])[aeo]", g)) for g in groups))
