"""Every text that a parent can read, held to the language rules, to two segments and to a reading level.

The library is read here as plain text, apart from the catalog, so that an error in one cannot hide in the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from schedules import segments

ROOT = Path(__file__).parents[2]
LIBRARY = ROOT / "schedules" / "library"
FORMS = ("en", "es", "discreet_en", "discreet_es")

# The longest values a placeholder may take: what the segment count must survive.
WORST = {
    "en": {"org": "Riverbend Family Hub", "day": "Wednesday", "time": "10:30 pm", "staff": "Alexandria"},
    "es": {"org": "Riverbend Family Hub", "day": "miércoles", "time": "10:30 pm", "staff": "Alexandria"},
}
WINDOW = {"en": "Wednesday 10:30 pm", "es": "miércoles 10:30 pm"}
RESOURCE = "Riverbend Community Health Center, 312-555-0142"

CARRIER = re.compile(
    r"\b(?:yes|no|stop(?:all)?|end|cancel|quit|help|start|unstop|revoke|unsubscribe|opt ?out|"
    r"alto|baja|cancelar|ayuda|si|parar)\b",
    re.IGNORECASE,
)
SKIP = {
    "en": re.compile(r"only if|if it feels right|fine to skip|no rush", re.IGNORECASE),
    "es": re.compile(r"solo si|si le parece|puede dejarlo|sin prisa", re.IGNORECASE),
}
OPTION = re.compile(r"^(\d) \S", re.MULTILINE)
ASKED = re.compile(r"\b(?:reply|responda) (?:with |con )?(?:a |un )?(\d)\b", re.IGNORECASE)
CALM_KINDS = {"talk", "gate"}

# A pair of accented words that mean something else bare, and words that are misspelled without their accent.
TURNED = re.compile(
    r"\b(?:papa|mama|mas|tu|aun|esta(?= (?:bien|mal|listo|en|con|cerca|lejos|solo))|estan|hablo|escucho|"
    r"cuando(?=\?)|como(?= (?:fue|va|anda|les|le|se siente))|cual(?:es)?|"
    r"\w+[cs]ion|d[ií]as?|asi|aqui|ahi|alli|tambien|despues|dificil(?:es)?|facil(?:es)?|numero|linea|ultim[oa]s?|"
    r"musica|podria|haria|seria|tenia|habia|gustaria|ayudaria|telefono|miercoles(?!\d)|sabado|medic[oa]s?|unic[oa]s?|"
    r"rapido|proxim[oa]s?|pagina|animo|razon|jovenes|todavia|quizas?(?=\b)|detras|detrás|ademas|atras|nadie mas|"
    r"digale|preguntele|escuchele|pidale|dejele|haganlo|dia|minimo|automatic[oa]s?|publico|practic[oa]|comun|ningun|algun|segun)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One text in its four forms, and where it stands."""

    file: str
    name: str
    kind: str
    texts: dict[str, str]
    firm: bool = False
    ordered: bool = False
    answers: tuple[str, ...] = ()
    is_reply: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """One language rule of schedules/lint/rules.yaml."""

    id: str
    lang: str
    sev: str
    where: str
    pattern: re.Pattern[str]
    neg: bool = False
    firm_ok: bool = False


@dataclass(kw_only=True, slots=True)
class Rules:
    """The rules, what counts as a negation, and the phrases that test them."""

    rules: list[Rule]
    negation: dict[str, re.Pattern[str]]
    phrases: dict[str, Any] = field(default_factory=dict)


@cache
def language_rules() -> Rules:
    data = yaml.safe_load((ROOT / "schedules" / "lint" / "rules.yaml").read_text(encoding="utf-8"))
    phrases = yaml.safe_load((ROOT / "tests" / "data" / "language_phrases.yaml").read_text(encoding="utf-8"))
    rules = [
        Rule(
            id=row["id"],
            lang=row["lang"],
            sev=row["sev"],
            where=row["where"],
            pattern=re.compile(row["re"]),
            neg=row.get("neg", False),
            firm_ok=row.get("firm_ok", False),
        )
        for row in data["rules"]
    ]
    return Rules(
        rules=rules,
        negation={lang: re.compile(p) for lang, p in data["neg"].items()},
        phrases=phrases,
    )


def load(path: Path) -> Any:
    """A library file with every scalar as text, as its authors wrote it."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)


def sequence_files() -> list[Path]:
    return sorted(p for p in LIBRARY.glob("*.yaml") if p.stem not in {"system", "ideas", "faq"})


def entries() -> list[Entry]:
    found = [entry for path in sequence_files() for entry in sequence_entries(path)]
    for name, key, kind in (("system", "texts", "system"), ("ideas", "ideas", "idea"), ("faq", "faq", "faq")):
        path = LIBRARY / f"{name}.yaml"
        if path.exists():
            found += list(list_entries(path, key, kind))
    return found


def list_entries(path: Path, key: str, kind: str) -> Iterator[Entry]:
    rows = load(path)[key]
    pairs = rows.items() if isinstance(rows, dict) else ((row["id"], row["text"]) for row in rows)
    for name, texts in pairs:
        yield Entry(file=path.name, name=name, kind=kind, texts=texts, is_reply=kind != "idea")


def sequence_entries(path: Path) -> Iterator[Entry]:
    data = load(path)
    firm = data["key"] == "AFTERCRISIS"
    for step in data["steps"]:
        answers = tuple(step.get("answers", {}))
        common = {"file": path.name, "kind": step["kind"], "firm": firm}
        if "text" in step:
            yield Entry(name=step["id"], texts=step["text"], answers=answers, **common)
        for variant in step.get("variants", []):
            where = ",".join(f"{k}={v}" for k, v in variant["for"].items())
            ordered = variant["for"].get("profile") == "ordered"
            name = f"{step['id']}[{where}]"
            yield Entry(name=name, texts=variant["text"], answers=answers, ordered=ordered, **common)
        for_orders = any(v["for"].get("profile") == "ordered" for v in step.get("variants", []))
        for turn, texts in enumerate(step.get("repeats", []), start=2):  # for every family, also under an order
            yield Entry(name=f"{step['id']}#{turn}", texts=texts, answers=answers, ordered=for_orders, **common)
        for digit, answer in step.get("answers", {}).items():
            if "reply" in answer:
                name = f"{step['id']}.{digit}"
                yield Entry(file=path.name, name=name, kind="reply", texts=answer["reply"], firm=firm, is_reply=True)


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sequence_files():
        for step in load(path)["steps"]:
            yield path.name, step


def language(form: str) -> str:
    return form.removeprefix("discreet_")


@cache
def longest_idea(form: str) -> str:
    path = LIBRARY / "ideas.yaml"
    ideas = load(path)["ideas"] if path.exists() else []
    return max((row["text"][form] for row in ideas), key=len, default="")


def filled(text: str, form: str) -> str:
    """The text with the longest value in every placeholder."""
    lang = language(form)
    values = WORST[lang] | {"resource": RESOURCE, "idea": longest_idea(form)}
    values |= {f"w{n}": WINDOW[lang] for n in range(1, 5)}
    return re.sub(r"\{(\w+)\}", lambda m: values[m.group(1)], text)


def normalise(text: str) -> str:
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    straight = bare.translate(str.maketrans("\u2018\u2019\u201c\u201d", "''\"\""))
    return re.sub(r"\s+", " ", straight.lower()).strip()


def lint(text: str, lang: str, *, discreet: bool = False, proactive: bool = True, firm: bool = False) -> list[str]:
    """The rule ids that the text trips, a warning as well as an error."""
    book, plain = language_rules(), normalise(text)
    return [
        f"{rule.id} {match.group()!r}"
        for rule in book.rules
        if rule.lang == lang and applies(rule, proactive=proactive, firm=firm)
        for match in rule.pattern.finditer(part(plain, rule, discreet=discreet))
        if not (rule.neg and negated(plain, match.start(), book.negation[lang]))
    ]


def applies(rule: Rule, *, proactive: bool, firm: bool) -> bool:
    return (proactive or rule.where != "proactive") and not (firm and rule.firm_ok)


def part(plain: str, rule: Rule, *, discreet: bool) -> str:
    return plain[:60] if rule.where == "lock" and not discreet else plain


def negated(plain: str, start: int, negation: re.Pattern[str]) -> bool:
    sentence = re.split(r"[.!?]", plain[:start])[-1]
    return bool(negation.search(sentence[-28:]))


def prose(text: str) -> list[list[str]]:
    """Sentences as lists of words; a listed option is a sentence of its own."""
    unlisted = re.sub(r"(?m)^\d ", ". ", text.replace("{idea}", ""))
    clean = re.sub(r"\{\w+\}", "", unlisted).replace("24/7", "")
    parts = re.split(r"[.!?:;\n]+", clean)
    words = [re.findall(r"[^\W\d_]+(?:'[a-z]+)?", piece) for piece in parts]
    return [w for w in words if w]


def syllables_en(word: str) -> int:
    low = word.lower()
    if low in {"every", "evening", "different", "separate", "family", "favorite"}:
        return {"every": 2, "evening": 2, "different": 3, "separate": 3, "family": 3, "favorite": 3}[low]
    low = re.sub(r"(?:[^laeiouy]es|[^td]ed|[^l]e)$", lambda m: m.group()[0], low) if len(low) > 3 else low
    return max(1, len(re.findall(r"[aeiouy]+", low)))


def syllables_es(word: str) -> int:
    """Vowel groups, with two strong vowels and an accented weak one counted apart."""
    low = re.sub(r"[qg]u(?=[eiéí])", "q", word.lower())
    groups = re.findall(r"[aeiouáéíóúüy]+", re.sub(r"y(?=[aeiouáéíóú])", "j", low))
    return max(1, sum(1 + len(re.findall(r"(?<=[aeoáéó])[aeoáéóíú]|(?<=[íú])[aeo]", g)) for g in groups))


def grade_en(text: str) -> float:
    """Flesch-Kincaid grade (Kincaid et al. 1975)."""
    sentences = prose(text)
    words = [w for s in sentences for w in s]
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables_en, words)) / len(words) - 15.59


def inflesz(text: str) -> float:
    """INFLESZ ease of reading: 206.835 - 62.3 syllables a word - words a sentence."""
    sentences = prose(text)
    words = [w for s in sentences for w in s]
    return 206.835 - 62.3 * sum(map(syllables_es, words)) / len(words) - len(words) / len(sentences)


LONG_WORDS = {"comfortable", "reunification", "caseworker"}


def hard_words(text: str) -> set[str]:
    """English words of more than three syllables that no plainer word replaces are allowed by name."""
    words = {word.lower() for sentence in prose(text) for word in sentence}
    return {word for word in words - LONG_WORDS if syllables_en(word) > 3}


def digits(text: str) -> tuple[str, ...]:
    return tuple(OPTION.findall(text)) or tuple(ASKED.findall(text))


def placeholders(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\{(\w+)\}", text))


ENTRIES = entries()
EVERY = pytest.mark.parametrize("entry", ENTRIES, ids=str)


def failures(entry: Entry, found: dict[str, Any]) -> str:
    return "\n".join(f"{entry} {form}: {why}\n    {entry.texts.get(form)!r}" for form, why in found.items() if why)


PHRASES = [
    (lang, kind, phrase)
    for lang, groups in language_rules().phrases.items()
    for kind, group in groups.items()
    for phrase in group
]


@pytest.mark.parametrize(("lang", "kind", "phrase"), PHRASES, ids=[f"{r[0]}-{r[1]}-{r[2]}" for r in PHRASES])
def test_the_rules_trip_on_the_bad_phrases_and_on_no_good_one(lang: str, kind: str, phrase: Any) -> None:
    if kind == "flag":
        family, text = phrase
        assert any(hit.startswith(family) for hit in lint(text, lang, discreet=True))
        return
    hits = lint(phrase, lang, discreet=kind == "lockpass")
    unwanted = [h for h in hits if h.startswith("LOCK") == (kind == "lockpass")]
    assert not unwanted


def test_all_rules_and_phrases_are_there() -> None:
    assert len(language_rules().rules) == 51
    assert len(PHRASES) == 122


@EVERY
def test_a_text_has_all_four_forms_with_the_same_placeholders_and_digits(entry: Entry) -> None:
    assert tuple(entry.texts) == FORMS
    assert len({placeholders(t) for t in entry.texts.values()}) == 1
    assert len({digits(t) for t in entry.texts.values()}) == 1


@EVERY
def test_a_text_offers_exactly_the_digits_that_have_an_answer(entry: Entry) -> None:
    if entry.file not in {"system.yaml", "faq.yaml"}:
        assert digits(entry.texts["en"]) == entry.answers


@EVERY
def test_a_text_trips_no_language_rule(entry: Entry) -> None:
    found = {
        form: lint(
            filled(text, form),
            language(form),
            discreet=form.startswith("discreet"),
            proactive=not entry.is_reply,
            firm=entry.firm,
        )
        for form, text in entry.texts.items()
    }
    assert not any(found.values()), failures(entry, found)


@EVERY
def test_a_text_fits_two_gsm_segments_with_the_longest_values(entry: Entry) -> None:
    counted = {form: segments.count(filled(text, form)) for form, text in entry.texts.items()}
    wrong = {form: c if c.encoding != "gsm7" or c.parts > 2 else None for form, c in counted.items()}
    assert not any(wrong.values()), failures(entry, wrong)


@EVERY
def test_a_text_is_easy_to_read(entry: Entry) -> None:
    found: dict[str, Any] = {}
    for form, text in entry.texts.items():
        long = [" ".join(s) for s in prose(text) if len(s) > 15]
        hard = grade_en(text) > 6.0 if language(form) == "en" else inflesz(text) < 70
        score = grade_en(text) if language(form) == "en" else inflesz(text)
        found[form] = (round(score, 1), long) if hard or long else None
    assert not any(found.values()), failures(entry, found)


@EVERY
def test_an_english_text_uses_short_words(entry: Entry) -> None:
    assert not hard_words(entry.texts["en"]) | hard_words(entry.texts["discreet_en"])


@EVERY
def test_nothing_asks_what_was_said_in_a_visit(entry: Entry) -> None:
    asked = re.compile(
        r"\bwhat (?:did|do|was|were)\b[^?]*\b(?:say|said|tell|told|talk(?:ed)? about)\b[^?]*\?", re.IGNORECASE
    )
    assert not any(asked.search(entry.texts[form]) for form in ("en", "discreet_en"))


@EVERY
def test_spanish_without_accents_is_still_spelled_right(entry: Entry) -> None:
    found = {form: TURNED.findall(re.sub(r"\b[A-ZÑ]{3,}\b", "", entry.texts[form])) for form in ("es", "discreet_es")}
    assert not any(found.values()), failures(entry, found)


@EVERY
def test_a_text_asks_one_thing_and_does_not_shout(entry: Entry) -> None:
    for text in entry.texts.values():
        assert text.count("?") <= 1
        assert "!" not in text


@EVERY
def test_a_talk_or_gate_may_always_be_skipped(entry: Entry) -> None:
    if entry.kind in CALM_KINDS:
        missing = {form: not SKIP[language(form)].search(text) for form, text in entry.texts.items()}
        assert not any(missing.values()), failures(entry, missing)


@EVERY
def test_no_listed_answer_is_a_carrier_word(entry: Entry) -> None:
    for text in entry.texts.values():
        for line in re.findall(r"(?m)^\d (.+)$", text):
            assert not CARRIER.fullmatch(line.strip(" .,"))


def private_details(text: str) -> list[str]:
    phones = [n for n in re.findall(r"\+?\d[\d ()-]{6,}\d", text) if n not in VERIFIED_LINES]
    return phones + re.findall(r"\S+@\S+|https?://\S+|www\.\S+", text)


VERIFIED_LINES = {"1-800-422-4453", "1-800-799-7233"}


# What a stranger must not read on a lock screen: who it is about, and that the family quarrels or is afraid.
TELLING = re.compile(
    r"\b(?:child\w*|kids?|teens?|fights?|conflict|afraid|scared|loud|crisis|counsel\w*|caseworker|weapons?|"
    r"peques?|adolescentes?|hij[oa]s?|pleitos?|gritos?|miedo|consejer\w*|trabajador social|armas|discutir a)\b",
    re.IGNORECASE,
)


@EVERY
def test_a_discreet_form_tells_a_stranger_nothing(entry: Entry) -> None:
    found = {form: TELLING.findall(text) for form, text in entry.texts.items() if form.startswith("discreet")}
    assert not any(found.values()), failures(entry, found)


SPANISH_LINE = re.compile(r"\b988\b")
PRESS_2 = re.compile(r"988 (?:y oprima 2|y oprimir 2|\(oprima 2\))|988 atiende a toda hora \(oprima 2\)")


@EVERY
def test_the_crisis_line_in_spanish_says_which_key_to_press(entry: Entry) -> None:
    for form in ("es", "discreet_es"):
        text = entry.texts[form]
        assert not SPANISH_LINE.search(text) or PRESS_2.search(text), f"{entry} {form}"


@EVERY
def test_a_text_holds_no_link_address_or_unknown_number(entry: Entry) -> None:
    assert not any(private_details(text) for text in entry.texts.values())


ALLOWED = {"org", "day", "time", "resource", "staff", "idea", "w1", "w2", "w3", "w4"}


@EVERY
def test_only_known_placeholders_are_used(entry: Entry) -> None:
    assert all(placeholders(text) <= ALLOWED for text in entry.texts.values())


COURT_LINE = {
    "en": re.compile(r"\b(?:lawyer|court|handles (?:your papers|them))\b"),
    "es": re.compile(r"\b(?:abogado|corte|quien los lleva|lleva sus papeles)\b"),
}


@EVERY
def test_an_ordered_variant_says_whom_to_ask_first(entry: Entry) -> None:
    if entry.ordered:
        missing = {form: not COURT_LINE[language(form)].search(text) for form, text in entry.texts.items()}
        assert not any(missing.values()), failures(entry, missing)


@pytest.mark.parametrize("name", ["welcome", "help"])
def test_sign_up_and_help_carry_the_program_stop_and_the_emergency_numbers(name: str) -> None:
    texts = load(LIBRARY / "system.yaml")["texts"][name]
    for form, text in texts.items():
        stop = "STOP" if language(form) == "en" else "ALTO"
        assert all(word in text for word in ("{org}", stop, "988", "911"))


def test_the_welcome_step_and_the_welcome_text_are_the_same_words() -> None:
    first = load(LIBRARY / "onboard.yaml")["steps"][0]
    assert first["text"] == load(LIBRARY / "system.yaml")["texts"]["welcome"]


def test_the_stop_confirmation_says_only_that_it_is_done_and_how_to_return() -> None:
    for text in load(LIBRARY / "system.yaml")["texts"]["stop_done"].values():
        assert "{org}" in text and "START" in text
        assert len(text) <= 160


def test_every_answer_says_what_it_means_and_has_an_effect() -> None:
    for file, step in steps():
        for digit, answer in step.get("answers", {}).items():
            assert answer.get("means") and answer.get("then"), f"{file} {step['id']} answer {digit}"


def test_every_step_has_a_moment_a_kind_a_topic_an_intent_and_its_sources() -> None:
    for file, step in steps():
        missing = {"id", "when", "kind", "topic", "intent", "seeds"} - set(step)
        assert not missing, f"{file} {step['id']}: {sorted(missing)}"


def test_a_talk_is_always_tied_to_a_calm_window() -> None:
    for file, step in steps():
        if step["kind"] == "talk":
            assert "window" in str(step["when"]), f"{file} {step['id']}"


def test_a_legal_answer_says_that_it_is_no_legal_advice_and_who_reviewed_it() -> None:
    rows = load(LIBRARY / "faq.yaml")["faq"]
    assert [row["id"] for row in rows] == [f"FAQ-{n:02d}" for n in range(1, 33)]
    for row in rows:
        assert row["triggers"]["en"] and row["triggers"]["es"]
        if row["legal"] == "yes":
            assert row["reviewed_by"] and row["reviewed_on"]
            ends = {form: text[-28:] for form, text in row["text"].items()}
            assert all("not legal advice" in e or "no es consejo legal" in e for e in ends.values()), row["id"]
