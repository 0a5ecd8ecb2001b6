"""Texts whose meaning is fixed: a lone command, a lone number, a bare call for help."""

from __future__ import annotations

from collections.abc import Sequence

from nudges.crisis.values import Level
from schedules import carrier_words

# Commands and answers that other parts of the service read. Alone they are never a sign of danger.
COMMANDS = carrier_words.RESERVED | frozenset(
    "y n ok okay k time less more ready move hard person safe pause resume done skip later menu thanks thank thx ty sí "
    "pausa fin salir listo lista gracias persona seguro segura english espanol continue next hi hello hola good great "
    "sure bien vale claro bueno quiet discreet discreto silencio session sesion idea ideas resources recursos ingles "
    "mas menos hora tiempo dificil mover luego".split()
)
_BARE = {
    "911": Level.CRISIS,
    "sos": Level.CRISIS,
    "emergency": Level.CRISIS,
    "emergencia": Level.CRISIS,
    "socorro": Level.CRISIS,
    "auxilio": Level.CRISIS,
    "9 1 1": Level.CRISIS,
    ":sos:": Level.CHECK,
    "988": Level.CHECK,
    "urgent": Level.CHECK,
    "urgente": Level.CHECK,
}
_LONGEST_BARE = 3
# What people put before the words that matter: an option, a keyword. The second layer reads the rest without it.
# Not those that open a plain statement: "end it all", "parar de sufrir".
_PREFIXES = (carrier_words.ALL - {"end", "parar", "cancelar", "baja"}) | frozenset(
    "yes y si ok okay pause pausa time less move person".split()
)

# Laughter never takes back a plain statement of danger, so the second layer reads such a text without it.
HUMOUR = frozenset("lol lmao lmfao haha hahaha jaja jajaja jajajaja jeje jk xd rofl :laugh:".split())


def bare(words: Sequence[str]) -> Level | None:
    """The level of a text that is only a command, a number or a bare call; None for anything longer."""
    told = [w for w in words if w[0].isalnum() or w == ":sos:"]
    if len(told) > _LONGEST_BARE:
        return None
    called = _BARE.get(" ".join(dict.fromkeys(told))) or _BARE.get(" ".join(told))
    if called:
        return called
    if any(w.startswith(":") and len(w) > 1 for w in words):
        return None
    return Level.ORDINARY if all(w in COMMANDS or w.isdigit() for w in told) else None


def skip_prefix(words: Sequence[str]) -> int:
    """How many leading tokens are a keyword, an option or a mark in front of the real text; 0 when nothing
    would be left.
    """
    index = 0
    while index < len(words) and (words[index] in _PREFIXES or words[index].isdigit() or not words[index][0].isalnum()):
        if words[index].startswith(":") and len(words[index]) > 1:
            break
        index += 1
    if index and index + 2 <= len(words) and any(words[i] in _PREFIXES or words[i].isdigit() for i in range(index)):
        return index
    return 0
