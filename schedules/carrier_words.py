"""The whole messages by which a phone leaves, comes back, joins or asks for help, in both languages. The one table.

Everybody who has to know them reads them here: the reading of texts, the crisis screen, the sequence language, its
lint and the simulator. Written as `words.fold` leaves a text: lower case, no accents.

Sources: twilio.com/docs/messaging/tutorials/advanced-opt-out (what carriers block and answer), 47 CFR 64.1200(a)(10)
(the opt-out words), CTIA Messaging Principles 5.1.2 (opt-in and help words).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# What the carrier's default filter blocks and answers by itself.
CARRIER_OPT_OUT: Final = frozenset(("stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"))

OPT_OUT_IN: Final[Mapping[str, frozenset[str]]] = {
    "en": CARRIER_OPT_OUT | {"stop all", "opt out"},
    "es": frozenset(("parar", "alto", "cancelar", "baja")),
}
HELP_IN: Final[Mapping[str, frozenset[str]]] = {"en": frozenset(("help", "info")), "es": frozenset(("ayuda",))}
START_IN: Final[Mapping[str, frozenset[str]]] = {"en": frozenset(("start", "unstop")), "es": frozenset()}
JOIN_IN: Final[Mapping[str, frozenset[str]]] = {
    "en": frozenset(("join",)),
    "es": frozenset(("unirme", "unirse", "inscribirme")),
}

OPT_OUT: Final = OPT_OUT_IN["en"] | OPT_OUT_IN["es"]
HELP: Final = HELP_IN["en"] | HELP_IN["es"]
START: Final = START_IN["en"] | START_IN["es"]
JOIN: Final = JOIN_IN["en"] | JOIN_IN["es"]
ALL: Final = OPT_OUT | HELP | START | JOIN
SPANISH: Final = OPT_OUT_IN["es"] | HELP_IN["es"] | START_IN["es"] | JOIN_IN["es"]

# Opt-out words that also begin other sentences ("end it all", "cancel the session"). Inside a longer text they say
# nothing sure.
AMBIGUOUS: Final = frozenset(("cancel", "end", "quit", "revoke", "optout", "opt out", "cancelar"))

# No step may offer these as an answer: a carrier or the service reads them first. Yes and no belong to carriers too.
RESERVED: Final = ALL | {"yes", "no", "si"}
