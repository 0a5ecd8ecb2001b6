"""Phone numbers: any spelling that people use, one way of storing them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import phonenumbers

from nudges.languages import COUNTRIES

_NORTH_AMERICA: Final = 1
# Set aside for invented people: never given to a subscriber, so a demo can never reach one.
_PLAIN: Final = re.compile(r"\s*(?:\+?1[\s.-]*)?\(?([2-9]\d\d)\)?[\s.-]*([2-9]\d\d)[\s.-]*(\d{4})\s*", re.ASCII)
_FICTIONAL: Final = re.compile(r"\+1[2-9]\d{2}55501\d{2}")

_NO_SUCH: Final = "No phone has this number. Check the area code and that it has ten digits."


class PhoneError(ValueError):
    """The number cannot be texted; the message says why and how to mend it. It never repeats the number."""


def to_e164(written: str, *, country: str = "US") -> str:
    """`written` as +1…; raises PhoneError. Numbers 555-0100 to 555-0199 of any area code are accepted."""
    plain = _PLAIN.fullmatch(written)
    if plain is not None and country in COUNTRIES:
        e164 = f"+1{plain[1]}{plain[2]}{plain[3]}"
        if _FICTIONAL.fullmatch(e164) or _exists(plain[1] + plain[2]):
            return e164
        raise PhoneError(_NO_SUCH)
    try:
        number = phonenumbers.parse(written, country)
    except phonenumbers.NumberParseException:
        raise PhoneError("This is not a phone number. Write it with the area code, such as 312 555 0142.") from None
    if number.extension:
        raise PhoneError("A number with an extension cannot get texts. Write a mobile number without one.")
    if number.country_code != _NORTH_AMERICA:
        raise PhoneError("Only numbers of the United States and Canada can be texted so far (they start with +1).")
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if _FICTIONAL.fullmatch(e164) or _is_of_our_countries(number):
        return e164
    raise PhoneError(_NO_SUCH)


@lru_cache(maxsize=65_536)
def _exists(exchange: str) -> bool:
    """Whether numbers that begin with these six digits are given out; the last four do not matter for that.

    The library takes ten times as long as everything else about a number, and a file of families has few exchanges.
    """
    return _is_of_our_countries(phonenumbers.parse(f"+1{exchange}2345"))


def _is_of_our_countries(number: phonenumbers.PhoneNumber) -> bool:
    return phonenumbers.is_valid_number(number) and phonenumbers.region_code_for_number(number) in COUNTRIES


def ending(phone: str) -> str:
    """The last four digits, for pages where staff must tell two numbers apart."""
    return phone[-4:]
