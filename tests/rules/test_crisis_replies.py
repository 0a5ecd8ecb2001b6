"""Every text that answers danger: what it must carry, and what it costs."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import product

import pytest

from nudges.crisis import replies
from nudges.crisis.fallback import stateless_reply
from nudges.crisis.safety_answer import read_safety_answer
from nudges.crisis.values import Level, Screening, Tier
from schedules import segments

CASES = [
    Screening(level=Level.CRISIS, tier=tier, severity=severity, why="Crisis: test.")
    for tier, severity in product([*Tier, None], (2, 3, 4))
] + [Screening(level=Level.CHECK, tier=None, severity=1, why="Check: test.")]
EVERYWHERE = list(product(CASES, ("en", "es"), ("US", "CA", "GB", "XX"), (True, False), (True, False)))


def test_every_reply_fits_two_plain_parts() -> None:
    for text in replies.every_text():
        cost = segments.count(text)
        assert (cost.encoding, cost.parts <= 2, cost.units <= 306) == ("gsm7", True, True), text
        assert text.isascii()


def test_every_reply_opens_with_what_to_do_and_whom_to_call() -> None:
    for case, lang, country, alerted, discreet in EVERYWHERE:
        head = replies.reply(case, lang=lang, country=country, alerted=alerted, discreet=discreet)[:70]
        called = (
            ("911", "988") if country in ("US", "CA") else ("local emergency number", "numero local de emergencias")
        )
        assert any(number in head for number in called), head


def test_a_country_that_is_not_confirmed_gets_no_number() -> None:
    for case, lang in product(CASES, ("en", "es")):
        for country in ("GB", "XX"):
            text = replies.reply(case, lang=lang, country=country, alerted=False)
            assert not any(n in text for n in ("911", "988", "999", "1-800", "116")), text


def test_an_alert_is_claimed_only_when_there_is_one() -> None:
    for case, lang, country, alerted, discreet in EVERYWHERE:
        text = replies.reply(case, lang=lang, country=country, alerted=alerted, discreet=discreet)
        assert (("has been alerted" in text) or ("avisamos" in text)) is alerted
        assert (("do not wait" in text[-60:]) or ("no espere." in text[-20:])) is not alerted


def test_a_reply_asks_nothing_and_promises_nothing_before_the_numbers() -> None:
    for text in replies.every_text():
        assert "?" not in text.split("call", 1)[0].split("lame", 1)[0]
        assert not any(
            word in text.lower()
            for word in ("committed", "we promise", "will call you", "le llamaremos", "confidential")
        )


def test_a_discreet_reply_names_no_kind_of_danger() -> None:
    case = Screening(level=Level.CRISIS, tier=Tier.ABUSE_DV, severity=3, why="")
    for lang in ("en", "es"):
        text = replies.reply(case, lang=lang, alerted=True, discreet=True).lower()
        assert not any(word in text for word in ("abuse", "violen", "maltrato", "child", "suicid"))


def test_calling_988_comes_before_texting_it() -> None:
    case = Screening(level=Level.CRISIS, tier=Tier.SUICIDE_SELFHARM, severity=3, why="")
    english, spanish = (replies.reply(case, lang=lang, alerted=False) for lang in ("en", "es"))
    assert english.index("Call 988") < english.index("text 988")
    assert spanish.index("Llame al 988") < spanish.index("textear al 988")


def test_the_safety_check_offers_its_answer_words() -> None:
    doubt = Screening(level=Level.CHECK, tier=None, severity=1, why="")
    assert "SAFE or NOT SAFE" in replies.reply(doubt, lang="en", alerted=False)
    assert "SEGURO o NO SEGURO" in replies.reply(doubt, lang="es", alerted=False)


def test_an_ordinary_text_has_no_reply() -> None:
    assert replies.reply(Screening(level=Level.ORDINARY, tier=None, severity=0, why=""), lang="en", alerted=False) == ""
    assert stateless_reply("ok tuesday works") is None


def test_the_stateless_reply_speaks_the_language_of_the_text_and_claims_no_alert() -> None:
    assert "Call 988" in (stateless_reply("she wants to kill herself") or "")
    spanish = stateless_reply("mi hija se quiere matar") or ""
    assert "Llame al 988" in spanish and "avisamos" not in spanish


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("SAFE", "safe"), ("yes we are ok", "safe"), ("we are safe", "safe"), ("Seguro", "safe"), ("si estamos bien", "safe"),
        ("NOT SAFE", "not_safe"), ("no", "not_safe"), ("we're not safe", "not_safe"), ("NO SEGURO", "not_safe"),
        ("no estamos seguros", "not_safe"), ("unsafe", "not_safe"),
        ("no estamos bien", "not_safe"), ("no estamos a salvo", "not_safe"), ("todavia no", "not_safe"), ("mal", "not_safe"),
        ("nobody is safe", "not_safe"), ("NOTSAFE", "not_safe"), ("not really safe", "not_safe"), ("not fine", "not_safe"),
        ("safe now but he left", "unsure"), ("safe i think", "unsure"), ("hardly safe", "unsure"), ("maybe safe", "unsure"),
        ("safe?", "unsure"), ("is he safe", "unsure"), ("we will be safe if he leaves", "unsure"),
        ("she is safe now", "safe"), ("todo bien", "safe"), ("s a f e", "safe"), ("keep safe", None),
        ("idk", "unsure"), ("not really", "unsure"), ("not sure", "unsure"), ("3", "unsure"), ("no se", "unsure"),
        ("can we talk on friday about the bus", None), ("", None),
    ],
)  # fmt: skip
def test_answers_to_the_safety_question_are_read_with_caution(text: str, answer: str | None) -> None:
    assert read_safety_answer(text) == answer


def test_every_line_in_use_says_where_it_comes_from_and_when_to_call_it_again() -> None:
    for country in replies.countries().values():
        for line in country.lines.values():
            assert line.source
            assert line.dial or line.text
            if country.enabled:
                assert line.verified_on and line.next_review and line.verified_on < line.next_review


LONG_AFTER = date(2031, 1, 1)  # every line's review is overdue then


def test_overdue_help_lines_drop_out_and_the_emergency_and_crisis_lines_stay() -> None:
    for case, lang, country, alerted, discreet in EVERYWHERE:
        text = replies.reply(case, lang=lang, country=country, alerted=alerted, discreet=discreet, today=LONG_AFTER)
        assert not any(line in text for line in ("1-800", "1-844", "88788", "686868")), text
        called = ("911", "988") if country in ("US", "CA") else ("emergency number", "numero local de emergencias")
        assert any(number in text[:70] for number in called), text
        assert segments.count(text).units <= 306


def test_a_line_that_was_called_in_time_stays() -> None:
    poison = Screening(level=Level.CRISIS, tier=Tier.OVERDOSE_POISON, severity=3, why="Crisis: test.")
    due = replies.countries()["US"].lines["poison"].next_review
    assert due is not None
    assert "1-800-222-1222" in replies.reply(poison, lang="en", alerted=True, today=due - timedelta(days=1))
    assert "1-800-222-1222" not in replies.reply(poison, lang="en", alerted=True, today=due)
