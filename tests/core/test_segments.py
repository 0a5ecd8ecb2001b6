"""Segment counts at their boundaries (GSM 03.38, UCS-2)."""

from __future__ import annotations

import pytest

from schedules import segments

ROWS = [
    pytest.param("", "gsm7", 0, 0, id="empty"),
    pytest.param("a" * 160, "gsm7", 1, 160, id="one part, full"),
    pytest.param("a" * 161, "gsm7", 2, 161, id="one over"),
    pytest.param("a" * 306, "gsm7", 2, 306, id="two parts, full"),
    pytest.param("a" * 307, "gsm7", 3, 307, id="three"),
    pytest.param("é" * 160, "gsm7", 1, 160, id="é is in the alphabet"),
    pytest.param("ñü¿¡", "gsm7", 1, 4, id="Spanish letters that cost nothing"),
    pytest.param("€" * 80, "gsm7", 1, 160, id="the euro sign counts twice"),
    pytest.param("a" * 159 + "[", "gsm7", 2, 161, id="a bracket counts twice"),
    pytest.param("a" * 152 + "€" + "a" * 20, "gsm7", 2, 174, id="an escape pair is not cut in two"),
    pytest.param("á" * 70, "ucs2", 1, 70, id="á forces UCS-2"),
    pytest.param("á" * 71, "ucs2", 2, 71, id="UCS-2, one over"),
    pytest.param("á" * 134, "ucs2", 2, 134, id="UCS-2, two full"),
    pytest.param("á" * 135, "ucs2", 3, 135, id="UCS-2, three"),
    pytest.param("😀" * 35, "ucs2", 1, 70, id="an emoji counts twice"),
    pytest.param("á" * 66 + "😀" * 3, "ucs2", 2, 72, id="a surrogate pair is not cut in two"),
    pytest.param("it’s", "ucs2", 1, 4, id="a curly apostrophe forces UCS-2"),
    pytest.param("ç", "ucs2", 1, 1, id="lower ç is not in the alphabet"),
]


@pytest.mark.parametrize(("text", "encoding", "parts", "units"), ROWS)
def test_a_text_costs_what_carriers_bill(text, encoding, parts, units):
    found = segments.count(text)
    assert (found.encoding, found.parts, found.units) == (encoding, parts, units)


def test_the_characters_that_force_ucs2_are_named_once_each():
    assert segments.count("mamá, papá ’").forced_by == ("á", "’")
