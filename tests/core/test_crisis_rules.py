"""The rule files: each line has examples, matches them, and cannot cross a sentence."""

from __future__ import annotations

import pytest

from nudges.crisis import rulebook
from nudges.crisis.grammar import Matcher, RuleError, compile_pattern, expand_classes
from nudges.crisis.normalise import fold
from nudges.crisis.values import Level, Suppression

BOOK = rulebook.load()


def hits(text: str):
    return BOOK.read(text, BOOK.fold(text))


@pytest.mark.parametrize("rule", BOOK.rules, ids=lambda r: r.id)
def test_a_rule_finds_its_examples(rule) -> None:
    for text in rule.examples:
        assert any(h.rule == rule.id and h.suppressed_by is None for h in hits(text)), text


@pytest.mark.parametrize("rule", BOOK.rules, ids=lambda r: r.id)
def test_every_line_of_a_rule_is_shown_by_an_example(rule) -> None:
    matcher = Matcher(rule.patterns)
    shown = {index for text in rule.examples for index, _ in matcher.find(BOOK.fold(text))}
    assert [p.source for i, p in enumerate(rule.patterns) if i not in shown] == []


@pytest.mark.parametrize("rule", BOOK.rules, ids=lambda r: r.id)
def test_a_rule_leaves_its_counterexamples_alone(rule) -> None:
    for text in rule.counterexamples:
        assert not [h for h in hits(text) if h.level is Level.CRISIS and h.suppressed_by is None], text


@pytest.mark.parametrize("cover", BOOK.covers, ids=lambda c: c.kind)
def test_a_suppression_finds_its_examples_and_spares_the_rest(cover) -> None:
    matcher = Matcher(cover.patterns)
    for text in cover.examples:
        assert list(matcher.find(BOOK.fold(text))), text
    for text in cover.counterexamples:
        assert [h for h in hits(text) if h.suppressed_by is None], text


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("he is not suicidal", Suppression.NEGATION),
        ("she never tried to kill herself", Suppression.NEGATION),
        ("the assembly was about suicide prevention", Suppression.EDUCATION),
        ("me muero de risa", Suppression.IDIOM),
        ("he attempted suicide two years ago", Suppression.PAST),
    ],
)
def test_what_takes_the_force_from_a_match(text: str, kind: Suppression) -> None:
    found = hits(text)
    assert all(h.suppressed_by is not None for h in found)
    assert kind is Suppression.IDIOM or any(h.suppressed_by is kind for h in found)


@pytest.mark.parametrize(
    "text",
    ["I am not joking she wants to die", "she does not want to live", "no quiere vivir", "he will not stop cutting himself",
     "not only that, he wants to kill himself"],
)  # fmt: skip
def test_what_looks_like_a_negation_does_not_silence(text: str) -> None:
    assert any(h.suppressed_by is None for h in hits(text))


def test_a_gap_does_not_cross_a_sentence() -> None:
    matcher = Matcher([compile_pattern("wants ..3 die", {})])
    assert list(matcher.find(BOOK.fold("wants to die")))
    assert not list(matcher.find(BOOK.fold("he wants. We die")))


def test_a_pattern_with_an_unknown_class_is_refused_by_name() -> None:
    with pytest.raises(RuleError, match="animals"):
        compile_pattern("@animals die", {})
    with pytest.raises(RuleError, match="at least one word"):
        compile_pattern("..3", {})
    with pytest.raises(RuleError, match="above it"):
        expand_classes({"a": "@b", "b": "x"})


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("k1ll", "kill"), ("su1c1de", "suicide"), ("dieeee", "die"), ("s u i c i d e", "suicide"), ("k.i.l.l", "kill"),
        ("suiсide", "suicide"), ("can’t", "can not"), ("gonna", "going to"), ("ya no kiere", "ya no quiere"),
        ("ｋｉｌｌ", "kill"), ("🇰🇲🇸", "kill myself"), ("💊", ":pill:"), ("niña", "nina"), ("strange", "strange"), ("willing", "willing"),
    ],
)  # fmt: skip
def test_words_are_read_as_they_were_meant(written: str, read: str) -> None:
    assert " ".join(BOOK.fold(written).words) == read


def test_tokens_point_into_the_text_as_sent() -> None:
    text = "Sh\u200be  wants to di\u0435"
    for token in fold(text, BOOK.speller).tokens:
        assert text[token.start : token.end].strip()
    assert fold(text, BOOK.speller).tokens[-1].end == len(text)
