"""Phone numbers: any spelling that people use, one way of storing them."""

from __future__ import annotations

import re
from typing import Final

import phonenumbers

COUNTRIES: Final = {"US": "the United States", "CA": "Canada"}
_NORTH_AMERICA: Final = 1
# Set aside for invented people: never given to a subscriber, so a demo can never reach one.
_FICTIONAL: Final = re.compile(r"\+1[2-9]\d{2}55501\d{2}")


class PhoneError(ValueError):
    """The number cannot be texted; the message says why and how to mend it. It never repeats the number."""


def to_e164(written: str, *, country: str = "US") -> str:
    """`written` as +1…; raises PhoneError. Numbers 555-0100 to 555-0199 of any area code are accepted."""
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
    raise PhoneError("No phone has this number. Check the area code and that it has ten digits.")


def _is_of_our_countries(number: phonenumbers.PhoneNumber) -> bool:
    return phonenumbers.is_valid_number(number) and phonenumbers.region_code_for_number(number) in COUNTRIES


def ending(phone: str) -> str:
    """The last four digits, for pages where staff must tell two numbers apart."""
    return phone[-4:]


def is_fictional(phone: str) -> bool:
    """Whether the number belongs to nobody, as all of the demo's do."""
    return _FICTIONAL.fullmatch(phone) is not None
