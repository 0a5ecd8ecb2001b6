"""How many SMS parts a text costs: GSM 03.38 (160, then 153 a part) or UCS-2 (70, then 67)."""

from __future__ import annotations

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")  # an escape plus a character: two septets each


@dataclass(frozen=True, kw_only=True, slots=True)
class Segments:
    """The cost of one text.

    `units` are septets for gsm7 and UTF-16 code units for ucs2; `forced_by` lists, in order of first
    appearance, the characters that force ucs2.
    """

    encoding: str  # "gsm7" | "ucs2"
    parts: int
    units: int
    forced_by: tuple[str, ...] = ()


def count(text: str) -> Segments:
    """Count the parts that carriers bill. The empty text has no part."""
    if _BASIC.issuperset(text):  # nearly every text: each character is one septet
        return Segments(encoding="gsm7", parts=_even_parts(len(text)), units=len(text))
    forced = tuple(dict.fromkeys(c for c in text if c not in _BASIC and c not in _EXTENDED))
    if forced:
        sizes = [2 if ord(c) > 0xFFFF else 1 for c in text]
        return Segments(encoding="ucs2", parts=_parts(sizes, 70, 67), units=sum(sizes), forced_by=forced)
    sizes = [2 if c in _EXTENDED else 1 for c in text]
    return Segments(encoding="gsm7", parts=_parts(sizes, 160, 153), units=sum(sizes))


def _even_parts(septets: int) -> int:
    """`_parts` of a plain GSM text: 160 alone, 153 in each of several."""
    return min(septets, 1) if septets <= 160 else -(-septets // 153)


def _parts(sizes: list[int], single: int, joined: int) -> int:
    """Parts needed when no character (escape pair, surrogate pair) is cut in two."""
    if sum(sizes) <= single:
        return 1 if sizes else 0
    parts, used = 1, 0
    for size in sizes:
        if used + size > joined:
            parts, used = parts + 1, 0
        used += size
    return parts
