"""The screen as a whole: levels, keywords, disguises, split texts, reactions, failures."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nudges.crisis import reactions, replies, rulebook, second
from nudges.crisis import screen as door
from nudges.crisis.screen import screen
from nudges.crisis.values import Level, Screening, Tier

EXPLICIT = [
    ("she wants to kill herself", Tier.SUICIDE_SELFHARM),
    ("my daughter says she wants to die", Tier.SUICIDE_SELFHARM),
    ("he threatened to stab his brother with a knife", Tier.HARM_OTHERS),
    ("she took all her pills and will not wake up", Tier.OVERDOSE_POISON),
    ("my husband hit me in front of the kids", Tier.ABUSE_DV),
    ("my son ran away last night and we cannot find him", Tier.RUNAWAY_MISSING),
    ("mi hija quiere matarse", Tier.SUICIDE_SELFHARM),
    ("dice que se va a matar", Tier.SUICIDE_SELFHARM),
    ("se tomó todas las pastillas", Tier.OVERDOSE_POISON),
    ("mi esposo me golpea delante de los niños", Tier.ABUSE_DV),
    ("mi hijo se escapó anoche y no aparece", Tier.RUNAWAY_MISSING),
]
SEEDS = [text for text, _ in EXPLICIT]
HARMLESS = [
    "ok tuesday works",
    "gracias, hoy estuvo tranquilo",
    "my back is killing me, can we move it",
    "me muero de risa con lo que dijo",
    "she killed it at the recital",
    "se cortó la llamada, le marco luego",
    "he takes his pills every morning with breakfast",
    "he has a math test on friday so thursday is better",
    "she cut her hair and loves it",
    "can you text me after 6 instead",
]


@pytest.mark.parametrize(("text", "tier"), EXPLICIT, ids=SEEDS)
def test_explicit_danger_is_a_crisis_of_its_tier(text: str, tier: Tier) -> None:
    found = screen(text)
    assert (found.level, found.tier) == (Level.CRISIS, tier)
    assert found.severity >= 2


@pytest.mark.parametrize("text", HARMLESS)
def test_everyday_texts_and_idioms_stay_ordinary(text: str) -> None:
    assert screen(text).level is Level.ORDINARY


@pytest.mark.parametrize(
    ("text", "level"),
    [
        *(
            (t, Level.ORDINARY)
            for t in ("1", "2", "YES", "STOP", "JOIN", "help", "HELP", "Si", "ALTO", "4.", "", "   ", "👍", "❤️")
        ),
        *((t, Level.CRISIS) for t in ("911", "SOS", "sos!!", "911 911", "Emergencia")),
        *((t, Level.CHECK) for t in ("988", "urgent", "URGENTE!", "🆘")),
    ],
)
def test_bare_words_have_a_fixed_level(text: str, level: Level) -> None:
    assert screen(text).level is level


def test_help_in_an_open_episode_is_checked() -> None:
    assert screen("HELP", open_episode=True).level is Level.CHECK
    assert screen("", open_episode=True).level is Level.CHECK


def _stretch(text: str) -> str:
    longest = max(text.split(), key=len)
    return text.replace(longest, longest + longest[-1] * 3)


DISGUISES = {
    "upper case": str.upper,
    "zero width": lambda t: t.replace("i", "i\u200b").replace("a", "\u2060a"),
    "soft hyphen": lambda t: t.replace("e", "e\u00ad"),
    "cyrillic": lambda t: t.replace("a", "\u0430").replace("e", "\u0435").replace("o", "\u043e"),
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) if "a" <= c <= "z" else c for c in t),
    "combining strike": lambda t: "".join(c + "\u0336" if c.isalpha() else c for c in t),
    "newlines": lambda t: t.replace(" ", "\n", 1).replace(" ", "  "),
    "stretch": _stretch,
    "lol": lambda t: t + " lol",
    "STOP first": lambda t: "STOP " + t,
    "JOIN first": lambda t: "JOIN " + t,
    "PAUSE first": lambda t: "PAUSE. " + t,
    "2 first": lambda t: "2 " + t,
    "exclaimed": lambda t: t + "!!!",
}


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES.keys())
@pytest.mark.parametrize("text", SEEDS)
def test_a_disguise_or_a_keyword_in_front_does_not_lower_the_level(text: str, disguise) -> None:
    assert screen(disguise(text)).level is Level.CRISIS


@pytest.mark.parametrize(
    "text",
    ["she wants to k1ll herself", "she wants to d!e", "he is su1c1dal and has a plan", "she wants to k i l l herself", "he says hes going to kіll himself",
     "she cаnt live anymore she wants to end her life", "she wants to killherself", "shes going to k*ll herself"],
)  # fmt: skip
def test_leet_spacing_and_look_alikes_are_read(text: str) -> None:
    assert screen(text).level is Level.CRISIS


def test_curly_and_straight_apostrophes_are_the_same() -> None:
    for text in ("I can't wake him up", "he won't wake up and he isn't breathing"):
        assert screen(text).level is screen(text.replace("'", "\u2019")).level is Level.CRISIS


@pytest.mark.parametrize("text", SEEDS)
def test_a_text_split_in_two_is_read_as_one(text: str) -> None:
    words = text.split(" ")
    for cut in range(1, len(words)):
        first, rest = " ".join(words[:cut]), " ".join(words[cut:])
        assert Level.CRISIS in (screen(first).level, screen(rest, recent=[first]).level), (first, rest)


def test_a_word_split_over_two_texts_is_read_whole() -> None:
    assert screen("ll herself", recent=["she wants to ki"]).level is Level.CRISIS


def test_an_earlier_crisis_does_not_colour_a_harmless_text() -> None:
    assert screen("ok thank you", recent=["she wants to kill herself"]).level is Level.ORDINARY


@pytest.mark.parametrize(
    "shape",
    ['Liked “{}”', 'Loved "{}"', "Emphasized “{}”", "Le gustó “{}”", "\u200a\u200b👍\u200b to “\u200a{}\u200a”", "Reacted 😢 to “{}”", "{}"],
)  # fmt: skip
def test_a_reaction_to_our_own_words_is_not_danger(shape: str) -> None:
    for own in replies.every_text():
        assert screen(shape.format(own)).level is Level.ORDINARY


def test_a_reaction_to_somebody_elses_words_is_read() -> None:
    assert screen("Loved “im going to kill myself tonight”").level is Level.CRISIS


def test_an_idiom_beside_real_danger_does_not_hide_it() -> None:
    assert screen("this is killing me, she took all her pills").level is Level.CRISIS


def test_danger_deep_inside_a_long_text_is_found() -> None:
    filler = "We had a calm week and went to the park with the dog. " * 40
    assert (
        screen(filler + "She swallowed a whole bottle of pills and wants to die. " + filler).level is not Level.ORDINARY
    )


def test_letters_that_nobody_here_can_read_ask_for_a_person() -> None:
    assert screen("私の娘はとても悲しいです助けてください").level is Level.CHECK


def test_a_failure_inside_becomes_a_safety_check(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(second, "load", broken)
    found = screen("she wants to die")
    assert found.level is Level.CHECK
    assert "failed" in found.why and "boom" not in found.why


def test_running_out_of_time_becomes_a_safety_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "BUDGET_SECONDS", 0.25)
    seconds = count(step=1)
    found = door._Reader(lambda: float(next(seconds))).screen("hello there my friend", (), (), False)
    assert found.level is Level.CHECK
    assert "time" in found.why


def test_the_same_text_gets_the_same_answer() -> None:
    assert screen(SEEDS[0]) == screen(SEEDS[0])


def test_a_text_that_comes_again_is_answered_as_at_first_and_is_not_encoded_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "he told me again that the new teacher is kind"
    at_first = screen(text)

    def broken(text: str) -> None:
        raise RuntimeError("encoded again")

    monkeypatch.setattr(second.vectors, "encode", broken)
    assert screen(text) == at_first
    assert "failed" in screen(text + ", for the second time").why


def test_of_what_was_read_the_oldest_is_forgotten_first() -> None:
    seen = second.Seen(most=2)
    outputs = second.np.zeros(8, dtype="float32")
    for key in (b"a", b"b", b"c"):
        seen.keep(key, outputs)
    assert [seen.get(key) is None for key in (b"a", b"b", b"c")] == [True, False, False]


OURS = "Sit with her and call 988 now"


@pytest.mark.parametrize(
    "text",
    [
        "ok",
        "thank you",
        "👍",
        f"Liked “{OURS}”",
        OURS,
        f"Reaccionó con 👍 a “{OURS}”",
        "“Sit with her”",
        "a b",
        "“a b . .”",
    ],
)
def test_what_cannot_be_a_reaction_is_none_whatever_we_have_sent(text: str) -> None:
    if not reactions.may_be_one(text):
        assert reactions.read(text, (OURS, text, text.strip("“”"))) is None


def test_why_quotes_the_words_as_they_were_sent() -> None:
    found = screen("she WANTS TO DIE tonight")
    assert "WANTS TO DIE" in found.why
    assert found.severity == 4  # tonight
    hit = found.hits[0]
    assert "she WANTS TO DIE tonight"[hit.start : hit.end] == hit.words


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400), st.lists(st.text(max_size=60), max_size=3), st.booleans())
def test_any_text_gets_an_answer_and_a_sendable_reply(text: str, recent: list[str], episode: bool) -> None:
    found = screen(text, recent=recent, open_episode=episode)
    assert isinstance(found, Screening)
    assert "failed" not in found.why
    said = replies.reply(found, lang="en", alerted=False)
    assert bool(said) is (found.level is not Level.ORDINARY)


def test_status_names_what_is_loaded() -> None:
    assert door.status()["vectors"] == "on"
    assert rulebook.load().digest in door.version()


def test_without_the_encoder_words_and_rules_go_on_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second.vectors, "USE", None)
    second.load.cache_clear()
    try:
        assert door.status()["vectors"].startswith("off")
        assert screen("she wants to kill herself").level is Level.CRISIS
        assert screen("ok tuesday works").level is Level.ORDINARY
    finally:
        second.load.cache_clear()
