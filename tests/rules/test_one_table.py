"""What the house knows once: a second copy of it is found here."""

from __future__ import annotations

import re

from schedules import carrier_words
from tests.conftest import ROOT

# Words that no sentence needs: wherever two of them stand together, somebody has begun a list of keywords.
TELLING = re.compile(r"\b(?:stopall|unstop|optout|unsubscribe|cancelar|inscribirme)\b", re.IGNORECASE)
NEAR = 80  # characters


def _is_list(text: str) -> bool:
    found = [(m.start(), m.group().casefold()) for m in TELLING.finditer(text)]
    return any(b - a < NEAR and one != other for (a, one), (b, other) in zip(found, found[1:], strict=False))


def test_the_keywords_of_carriers_stand_in_one_table():
    files = [
        p for folder in ("nudges", "schedules") for end in ("py", "yaml") for p in (ROOT / folder).rglob(f"*.{end}")
    ]
    lists = [str(path.relative_to(ROOT)) for path in files if _is_list(path.read_text(encoding="utf-8"))]
    assert lists == ["schedules/carrier_words.py"]


def test_every_keyword_is_a_folded_word_of_one_meaning():
    kinds = (carrier_words.OPT_OUT, carrier_words.HELP, carrier_words.START, carrier_words.JOIN)
    assert sum(map(len, kinds)) == len(carrier_words.ALL)
    assert all(re.fullmatch(r"[a-z]+(?: [a-z]+)?", word) for word in carrier_words.ALL)
    assert carrier_words.AMBIGUOUS < carrier_words.OPT_OUT


def test_only_one_module_writes_tasks():
    files = [p for p in (ROOT / "nudges").rglob("*.py") if p.parent.name != "models"]
    writers = [p.name for p in files if re.search(r"\bTask\(|insert\(Task\b", p.read_text(encoding="utf-8"))]
    assert writers == ["tasks.py"]
