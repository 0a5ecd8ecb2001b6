"""The checks that are no word lists: each trips on a bad text, and stays quiet on a good one."""

from __future__ import annotations

from typing import Any

import pytest

from schedules.lint import copying, lint, reading
from schedules.lint.options import options
from tests.core.lint_samples import (
    ANSWERS,
    GOOD_QUESTION,
    TODAY,
    findings,
    question,
    rules,
    sequence,
    step,
    tip,
)

LONG = "We see how much you do for your child each day. " * 7


def test_good_steps_have_no_finding() -> None:
    question_without_accents = question(text={form: t.replace("más", "algo") for form, t in GOOD_QUESTION.items()})
    second = question_without_accents | {"id": "ZZ-2"}
    assert findings(step(), second) == []


def test_numbers_in_a_sentence_are_no_answers() -> None:
    text = {"en": "Take 1 small step and 2 deep breaths.", "es": "Dé 1 paso corto y 2 respiros."}
    text |= {"discreet_en": text["en"], "discreet_es": text["es"]}
    assert findings(tip(**text)) == []


BAD: list[tuple[str, str, str, dict[str, Any]]] = [
    ("SEG", "error", "three parts", tip(en=LONG)),
    ("SEG", "error", "two parts that a long name makes three", tip(en="{resource} " + LONG[:280])),
    ("ACCENT", "warning", "a letter outside GSM-7", tip(es="Hoy haga algo muy fácil.")),
    ("ACCENT", "error", "a word without its accent", tip(es="Hoy haga algo muy facil.")),
    ("ACCENT", "error", "que for qué", tip(es="¿Que le ayuda hoy?")),
    ("ACCENT", "error", "cual for cuál", tip(es="Diga cual le gusta.")),
    ("ACCENT", "error", "papa for papá", tip(es="Hable con su papa.")),
    ("ACCENT", "error", "si for sí", tip(es="Si le gusta, diga que si.")),
    ("ACCENT", "error", "esta for está", tip(es="Su peque esta triste hoy.")),
    (
        "READ-EN",
        "error",
        "long words",
        tip(en="Acknowledge their apprehension, demonstrate unconditional availability, and communicate expectations."),
    ),
    (
        "READ-ES",
        "error",
        "long words",
        tip(
            es="Reconozca la incertidumbre, demuestre disponibilidad incondicional y comunique expectativas realistas."
        ),
    ),
    ("NAME", "error", "a first name", tip(en="Maybe Marcus would like a walk.")),
    ("NAME", "error", "a first name at the start", tip(en="Emma may like a walk.")),
    ("NAME", "error", "a first name with an accent", tip(es="Sofía puede querer un paseo.")),
    ("NAME", "error", "a surname", tip(en="Please ask Ms Okafor for a walk.")),
    ("NAME", "error", "a placeholder for a name", tip(en="Maybe {child} would like a walk.")),
    ("PII", "error", "a phone number", tip(en="Call 312-555-0142 for a chat.")),
    ("PII", "error", "an e-mail address", tip(en="Write to us at hello@example.com.")),
    ("PII", "error", "a link", tip(en="Read more at www.example.com today.")),
    ("PII", "error", "a date of birth", tip(en="Your child, born 03/04/2015, may like a walk.")),
    ("PII", "error", "an address", tip(en="We are at 12 Oak Street, so come by.")),
    ("PII", "error", "a case number", tip(en="Say case number 22-DR-1234 at the desk.")),
    ("PII", "error", "a school", tip(en="Ask at Lincoln Elementary for a chat.")),
    ("SKIP", "error", "a talk without a way to skip", step(text={"en": "A calm time is near. Ask and listen."})),
    ("SKIP", "error", "the same in Spanish", step(text={"es": "Viene un rato tranquilo. Pregunte y escuche."})),
    ("ONE", "warning", "two questions", tip(en="How are you? And how are they?")),
    ("ONE", "warning", "an exclamation mark in a talk", step(text={"en": "Only if it feels right, try it!"})),
    ("ONE", "warning", "capitals", tip(en="Please LISTEN to them.")),
    ("CRISIS", "error", "no 988", step(kind="crisis", when="by answer", text={"en": "Call 911 now."})),
    (
        "CRISIS",
        "error",
        "a question before the lines",
        step(kind="crisis", when="by answer", text={"en": "Is anyone hurt? Call 911 or 988."}),
    ),
    ("GATE-SILENCE", "error", "a closed gate", tip(en="You did not pass this time. Try later.")),
    ("GATE-SILENCE", "error", "not ready", tip(es="Su familia no pasó esta vez.")),
    ("TEEN", "warning", "what was said", tip(en="What did your teen say in the session?")),
    ("TEEN", "warning", "in Spanish", tip(es="¿Qué dijo su peque en la visita?")),
    ("PARITY", "error", "another placeholder", tip(en="Your plan is on {day}.")),
    ("PARITY", "error", "other digits", question(text={"es": GOOD_QUESTION["es"].replace("3 más duro", "")})),
    ("ANSWERS", "error", "a digit without an answer", question(answers={k: ANSWERS[k] for k in "12"})),
    ("ANSWERS", "error", "a tip that asks for a digit that does nothing", tip(en="Reply 2 to move it.")),
    (
        "ANSWERS",
        "error",
        "a carrier word",
        question(text={"en": "How was it?\n1 closer\n2 no\n3 stop"}),
    ),
    (
        "ANSWERS",
        "error",
        "no way out",
        question(text={"en": "How was it?\n1 good\n2 very good\n3 great"}),
    ),
    ("ANSWERS", "error", "one answer only", question(answers={"1": ANSWERS["1"]}, text={"en": "Well?\n1 not yet"})),
    ("ANSWERS", "error", "an answer that does nothing", question(answers=ANSWERS | {"3": {"means": "harder"}})),
    ("TOPIC", "error", "a talk at no calm window", step(when="day 3")),
    ("TOPIC", "error", "no seeds", step(seeds=[])),
    ("SCHEMA", "error", "an unknown key", step(colour="red")),
    ("SCHEMA", "error", "a variant for nobody", step(variants=[{"for": {"age": "14-17"}, "text": step()["text"]}])),
]


@pytest.mark.parametrize(
    ("rule", "severity", "bad"),
    [(rule, severity, bad) for rule, severity, _, bad in BAD],
    ids=[f"{row[0]}-{row[2]}" for row in BAD],
)
def test_a_bad_text_trips_its_check(rule: str, severity: str, bad: dict[str, Any]) -> None:
    assert rule in rules(findings(bad), severity)


GOOD = [
    ("Call 911 if anyone may get hurt, or call or text 988.", "en"),
    ("To talk: 1-800-422-4453, day or night.", "en"),
    ("Your plan is on Tuesday at 4:30 pm. Reply 2 to move it.", "en"),
    ("Text PAUSE to rest for 2 weeks, or PERSON to reach us.", "en"),
    ("If they are not ready for a walk, sit close by.", "en"),
    ("Ask the office what is shared with you.", "en"),
    ("How did the visit go? 1 ok 2 mixed 3 hard", "en"),
    ("Te escucho, y haga una pausa. Eso cuenta.", "es"),
    ("Solo si le parece bien, deje que elija. Si no, no pasa nada.", "es"),
    ("Como siempre, esta semana vaya sin prisa. Cuando quiera, escriba LISTO.", "es"),
    ("¿Hay que llevar algo? Pregunte antes en la oficina.", "es"),
    ("¿Cree que va bien? Todo suma, lo cual ya es mucho.", "es"),
    ("Puede ser una charla seria, tan corta como esta semana pida.", "es"),
    ("El plan es el martes a las 4. Responda 2 para cambiar la hora.", "es"),
]


@pytest.mark.parametrize(("text", "lang"), GOOD, ids=[row[0] for row in GOOD])
def test_a_good_text_is_no_error(text: str, lang: str) -> None:
    found = lint.faults_of(text, lang)
    assert [fault for fault in found if fault.severity == "error"] == []


def test_an_idea_of_the_bank_fits_the_room_that_other_texts_keep_for_it() -> None:
    bank = "ideas:\n  - id: I-90\n    text: {en: %s}\n"
    assert "SEG" not in rules(lint.check(bank % ("a" * 90), name="ideas.yaml", today=TODAY))
    assert "SEG" in rules(lint.check(bank % ("a" * 91), name="ideas.yaml", today=TODAY), "error")


def test_a_copied_run_of_seven_words_is_found_whatever_its_case_accents_and_punctuation() -> None:
    article = "The kettle sings because the water, at last, has nowhere else to go."
    known = copying.hashes(article)
    copied = "Note: THE WATER - at l\u00e1st - has nowhere else!"
    assert [f.tripped for f in copying.faults(copied, among=known)] == ["the water at last has nowhere else"]
    assert copying.faults("The water at last has nowhere.", among=known) == []
    assert copying.faults(article) == []


OPTIONS = [
    ("lines", "How was it?\n1 ok\n2 mixed", {"1": "ok", "2": "mixed"}),
    ("a row", "How was it? 1 ok 2 mixed, 3 did not happen", {"1": "ok", "2": "mixed", "3": "did not happen"}),
    ("a reply", "Tuesday plan at 4. Reply 2 to move it", {"2": ""}),
    ("no options", "Up to 3 a week, in 2 weeks at 4:15", {}),
    ("windows", "Pick:\n1 {w1}\n2 {w2}", {"1": "{w1}", "2": "{w2}"}),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in OPTIONS], ids=[row[0] for row in OPTIONS])
def test_options_are_read_from_lines_rows_and_requests(text: str, expected: dict[str, str]) -> None:
    assert options(text) == expected


def test_reading_scores_follow_their_formulas() -> None:
    # 8 words in 2 sentences, 10 syllables: 0.39*4 + 11.8*1.25 - 15.59
    assert reading.grade("Feelings come first. Just listen for a while.") == pytest.approx(0.72, abs=0.01)
    # 6 words in 1 sentence, 10 syllables: 206.835 - 62.3*10/6 - 6
    assert reading.ease("La calma gana a las palabras.") == pytest.approx(97.0, abs=0.1)


# ------------------------------------------------------------------ places, allowances, reviews


def test_a_finding_names_file_line_rule_what_tripped_and_how_to_mend_it() -> None:
    text = sequence(step(), tip(en="Be kind.\n\nThey have to go soon.") | {"id": "ZZ-2"})
    [found] = [f for f in lint.check(text, name="zest.yaml", today=TODAY) if f.rule == "COERCE-1"]
    assert (found.file, found.where, found.tripped) == ("zest.yaml", "ZZ-2 en", "have to go")
    assert "have to go" in text.splitlines()[found.line - 1]
    assert "could" in found.suggestion and found.severity == "error"
    assert found.in_words().startswith(f"zest.yaml:{found.line}: error COERCE-1: ZZ-2 en 'have to go'")


def test_a_block_text_is_reported_on_the_line_of_the_words() -> None:
    text = sequence(step()).replace(
        "    en: A calm time is near. Only if it feels right, ask one small thing and then listen.",
        "    en: >-\n      A calm time is near. Only if it feels right,\n      ask a thing. They have to go.",
    )
    assert "They have to go" in text
    [found] = [f for f in lint.check(text, name="zest.yaml", today=TODAY) if f.rule == "COERCE-1"]
    assert "They have to go" in text.splitlines()[found.line - 1]


def test_yaml_that_cannot_be_read_is_one_finding_with_its_line() -> None:
    [found] = lint.check("key: ZEST\nsteps: [\n", name="zest.yaml", today=TODAY)
    assert found.rule == "SCHEMA" and found.line >= 2


def test_a_file_of_another_kind_is_an_error() -> None:
    assert rules(lint.check("colour: red\n", name="x.yaml", today=TODAY), "error") == {"SCHEMA"}


COERCED = {"en": "They have to go, only if it feels right."}
GIVEN = {"rule": "COERCE-1", "reason": "quotes a child", "reviewer": "A. Reader"}
ALLOWED: list[tuple[str, list[dict[str, str]], set[str]]] = [
    ("with a reason and a reviewer", [GIVEN], set()),
    ("by family", [GIVEN | {"rule": "COERCE"}], set()),
    ("without a reason", [{"rule": "COERCE-1", "reviewer": "A. Reader"}], {"ALLOW", "COERCE-1"}),
    ("without a reviewer", [{"rule": "COERCE-1", "reason": "quotes a child"}], {"ALLOW", "COERCE-1"}),
    ("for another rule", [GIVEN | {"rule": "COERCE-2"}], {"COERCE-1"}),
    ("for no rule", [GIVEN | {"rule": "NICE"}], {"ALLOW", "COERCE-1"}),
    ("for a rule that nobody may lift", [GIVEN, GIVEN | {"rule": "SEG"}], {"ALLOW"}),
]


@pytest.mark.parametrize("place", ["step", "text"])
@pytest.mark.parametrize(("allow", "expected"), [row[1:] for row in ALLOWED], ids=[row[0] for row in ALLOWED])
def test_an_allowance_counts_only_with_a_reason_and_a_reviewer(
    allow: list[dict[str, str]], expected: set[str], place: str
) -> None:
    bad = step(text=COERCED)
    (bad if place == "step" else bad["text"])["lint_allow"] = allow
    assert rules(findings(bad)) == expected


def test_a_lifted_rule_does_not_hide_what_the_catalog_refuses() -> None:
    allow = [{"rule": "TOPIC", "reason": "wanted so", "reviewer": "A. Reader"}]
    assert rules(findings(step(when="day 3", lint_allow=allow)), "error") == {"TOPIC"}
    allow = [{"rule": "ANSWERS", "reason": "wanted so", "reviewer": "A. Reader"}]
    unanswered = question(answers=ANSWERS | {"4": ANSWERS["1"]}, lint_allow=allow)
    assert rules(findings(unanswered), "error") == {"SCHEMA"}


FAQ = """faq:
  - id: FAQ-90
    question: May I?
    legal: yes
    reviewed_by: {by}
    reviewed_on: {on}
    triggers: {{en: [may i], es: [puedo]}}
    seeds: [R-LAW-1]
    text:
      en: The rules differ by place. {en}
      es: Las reglas cambian. Esto no es consejo legal.
      discreet_en: The rules differ by place. This is not legal advice.
      discreet_es: Las reglas cambian. Esto no es consejo legal.
"""
LINE = "This is not legal advice."
REVIEWS: list[tuple[str, dict[str, str], str | None]] = [
    ("reviewed this year", {"by": "L. Awyer", "on": "2025-12-01", "en": LINE}, None),
    ("reviewed too long ago", {"by": "L. Awyer", "on": "2025-11-01", "en": LINE}, "error"),
    ("reviewed by nobody", {"by": '""', "on": "2026-11-01", "en": LINE}, "error"),
    ("reviewed on no date", {"by": "L. Awyer", "on": "lately", "en": LINE}, "error"),
    ("without its line", {"by": "L. Awyer", "on": "2026-11-01", "en": "Ask first."}, "error"),
    ("reviewed in the future", {"by": "L. Awyer", "on": "2027-11-01", "en": LINE}, "warning"),
    ("states the law", {"by": "L. Awyer", "on": "2026-11-01", "en": "By law it is so. " + LINE}, None),
]


@pytest.mark.parametrize(("values", "severity"), [row[1:] for row in REVIEWS], ids=[row[0] for row in REVIEWS])
def test_a_legal_answer_needs_its_closing_line_and_a_review_within_a_year(
    values: dict[str, str], severity: str | None
) -> None:
    found = lint.check(FAQ.format(**values), name="faq.yaml", today=TODAY)
    errors = {(f.rule, f.severity) for f in found if f.rule == "NDA" or f.severity == "error"}
    assert errors == ({("NDA", severity)} if severity else set())


@pytest.mark.parametrize(("traits", "severity"), [({}, "error"), ({"firm": True}, "warning")], ids=["any", "firm"])
def test_a_sequence_whose_traits_say_firm_may_say_must(traits: dict[str, Any], severity: str) -> None:
    found = findings(tip(en="They have to see the doctor."), traits=traits)
    assert {one.severity for one in found if one.rule == "COERCE-1"} == {severity}
