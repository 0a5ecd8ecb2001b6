"""Phone numbers: many spellings, one way of storing them, and the short way round the library agrees with it."""

from __future__ import annotations

import phonenumbers
import pytest

from nudges.families import phones


@pytest.mark.parametrize(
    "written",
    [
        "3126641842",
        "312-664-1842",
        "(312) 664 1842",
        "+1 312.664.1842",
        "1-312-664-1842",
        " 13126641842 ",
        "tel:+13126641842",
    ],
)
def test_every_spelling_is_one_number(written: str) -> None:
    assert phones.to_e164(written) == "+13126641842"


@pytest.mark.parametrize("ending", ["0000", "0199", "2345", "5555", "9999"])
def test_whether_an_exchange_exists_does_not_hang_on_the_last_four_digits(ending: str) -> None:
    for area in range(200, 1000, 3):
        for exchange in (200, 211, 555, 664, 911, 976, 999):
            digits = f"{area}{exchange}"
            number = phonenumbers.parse(f"+1{digits}{ending}")
            assert phones._exists(digits) == phones._is_of_our_countries(number), digits


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("12", "area code"),
        ("", "not a phone number"),
        ("312 664 1842 x12", "extension"),
        ("+44 20 7946 0958", "United States and Canada"),
        ("911 664 1842", "No phone has"),
        ("312 164 1842", "No phone has"),
    ],
)
def test_a_number_that_cannot_be_texted_says_why(written: str, says: str) -> None:
    with pytest.raises(phones.PhoneError, match=says) as refused:
        phones.to_e164(written)
    assert "1842" not in str(refused.value)
