"""The sequence language: every fault of a file at once, each with its line and its mend."""

from __future__ import annotations

import pytest

from schedules import catalog, effects, when
from schedules.values import Anchor, Slot

GOOD = """\
key: HELLO
title: A greeting
purpose: To show the form.
lasts: 2 weeks
at_most: 1 a week
steps:
  - id: HE-1
    when: day 1
    kind: tip
    topic: care
    intent: greet
    text: {en: Good day., es: Buen dia., discreet_en: Good day., discreet_es: Buen dia.}
  - id: HE-2
    when: HE-1 + 2 days
    kind: checkin
    topic: care
    intent: ask
    text: {en: "1 yes 2 no", es: "1 bien 2 mal", discreet_en: "1 yes 2 no", discreet_es: "1 bien 2 mal"}
    answers:
      "1": {means: well, then: [next]}
      "2": {means: badly, then: [wait 7 days]}
"""


def findings(text):
    sequence, found = catalog.check(text, name="hello.yaml")
    assert (sequence is None) == any(f.severity == "error" for f in found)
    return [(f.line, f.message) for f in found]


def test_a_sound_file_is_read_whole():
    sequence = catalog.parse(GOOD, name="hello.yaml")
    assert (sequence.key, sequence.lasts_days, sequence.at_most.count) == ("HELLO", 14, 1)
    assert [step.id for step in sequence.steps] == ["HE-1", "HE-2"]
    assert sequence.steps[1].answers["2"].then[0].verb == "wait"


FAULTS = [
    pytest.param("title: A greeting", "titel: A greeting", 2, "unknown key 'titel'", id="unknown key"),
    pytest.param("kind: tip", "kind: tipp", 9, "should be one of: talk, tip", id="unknown kind"),
    pytest.param("when: day 1", "when: on Tuesday", 8, "names no moment; write for example: day 3", id="no moment"),
    pytest.param("[wait 7 days]", "[wait a week]", 21, "write one of: wait N days", id="no effect"),
    pytest.param("[next]", "[]", 20, "answer 1 has no effect", id="answer without effect"),
    pytest.param("es: Buen dia., discreet_en", "discreet_en", 12, "lacks es", id="missing language"),
    pytest.param(
        "en: Good day., es", "en: 'Good {dya}.', es", 12, "uses {dya}; known placeholders", id="unknown placeholder"
    ),
    pytest.param(
        "en: Good day., es", "en: 'Good {day}.', es", 12, "should use the same placeholders", id="placeholders differ"
    ),
    pytest.param("at_most: 1 a week", "at_most: often", 5, '"2 a week"', id="limit"),
    pytest.param(
        'discreet_es: "1 bien 2 mal"',
        'discreet_es: "1 bien"',
        18,
        "should offer the digits 1, 2",
        id="digit not offered",
    ),
    pytest.param("id: HE-2", "id: HE-1", 13, "is there twice", id="id twice"),
    pytest.param("HE-1 + 2 days", "HE-9 + 2 days", 13, "names HE-9, which is not in this file", id="unknown step"),
    pytest.param('"1": {means: well', "YES: {means: well", 20, "should be a digit from 1 to 9", id="word as answer"),
    pytest.param("kind: tip", "kind: talk", 7, "should end in `, window`", id="talk without window"),
    pytest.param(
        "en: Good day., es", f"en: {'long ' * 80}, es", 12, "takes 3 segments; shorten it to 2", id="too long"
    ),
]


@pytest.mark.parametrize(("old", "new", "line", "message"), FAULTS)
def test_a_fault_is_named_with_its_line_and_its_mend(old, new, line, message):
    assert old in GOOD
    found = findings(GOOD.replace(old, new, 1))
    assert any(at == line and message in words for at, words in found), found


def test_all_faults_of_a_file_are_reported_at_once_in_line_order():
    text = GOOD
    for old, new in (("kind: tip", "kind: tipp"), ("when: day 1", "when: soon"), ("[wait 7 days]", "[wait]")):
        text = text.replace(old, new, 1)
    lines = [line for line, _ in findings(text)]
    assert lines == sorted(lines)
    assert {8, 9, 21} <= set(lines)


def test_broken_yaml_is_a_finding_and_not_a_crash():
    assert findings("key: [TALK\ntitle: x\n")[0][1].startswith("this is not YAML")
    assert findings("")[0][1] == "hello.yaml is empty"


def test_words_that_plain_yaml_would_change_stay_words():
    text = GOOD.replace("en: Good day.,", "en: no,", 1).replace("discreet_en: Good day.,", "discreet_en: 18:30,", 1)
    sequence = catalog.parse(text, name="hello.yaml")
    assert sequence.steps[0].texts.en == "no"
    assert sequence.steps[0].texts.discreet_en == "18:30"


def test_the_shipped_library_has_no_error_and_no_warning():
    for path in sorted(catalog.LIBRARY.glob("*.yaml")):
        if path.stem not in ("system", "ideas", "faq"):
            assert catalog.check(path.read_text(encoding="utf-8"), name=path.name)[1] == []
    assert {"TALK", "DRIVE", "BREAK", "ONBOARD", "REPAIR"} <= set(catalog.load_library().sequences)


@pytest.mark.parametrize("form", when.FORMS)
def test_each_form_of_when_that_errors_advertise_can_be_read(form):
    assert when.parse(form).anchor in Anchor


def test_an_offset_in_hours_means_that_minute_and_one_in_days_the_preferred_moment():
    assert when.parse("TK-4 + 18 hours").slot is Slot.EXACT
    assert when.parse("TK-4 + 2 days").slot is Slot.PREFERRED
    assert when.parse("session 1 - 5 days").slot is Slot.EXACT


@pytest.mark.parametrize("verb", effects.VERBS, ids=lambda verb: verb.name)
def test_each_effect_that_errors_advertise_can_be_read(verb):
    example = verb.written.split(" [")[0]
    for form, value in (
        ("SEQUENCE", "CARE"),
        ("STEP", "TK-4"),
        (" N ", " 7 "),
        ("p1|p2|p3: words", "p2: call"),
        ("FAQ-NN", "FAQ-26"),
    ):
        example = example.replace(form, value)
    example = example.split("|")[0].replace("stage X", "stage trial")
    assert effects.parse(example).verb == verb.name
