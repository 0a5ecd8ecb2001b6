"""A process of the service that dies by SIGKILL at one step of its work: `main(step, seconds)` in a process of its own.

It beats like the embedded engine, with the settings of the environment. The steps are wrapped here, from outside, so
that the product knows nothing of dying. Without a step (`none`) it works until its seconds are over.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any, Final

from nudges import config
from nudges import wiring as composition
from nudges.channels.twilio import TwilioChannel
from nudges.engine import ticks
from nudges.outbound import receipts, sender

# Step → what is wrapped, and whether it dies before or after.
STEPS: Final[dict[str, tuple[Any, str, bool]]] = {
    "before the claim": (sender, "claim", True),
    "after the claim's commit": (sender._Drain, "begin_calls", True),
    "before the call": (TwilioChannel, "send", True),
    "after the provider answered": (TwilioChannel, "send", False),
    "after settling, before the commit": (receipts, "accept", False),
    "before settling": (receipts, "settle_all", True),
    "after settling": (receipts, "settle_all", False),
}


def die_at(step: str) -> None:
    owner, name, is_before = STEPS[step]
    real: Callable[..., Any] = getattr(owner, name)

    def deadly(*args: Any, **values: Any) -> Any:
        if not is_before:
            real(*args, **values)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, deadly)


def main(step: str, seconds: str) -> None:
    if step != "none":
        die_at(step)
    wiring = composition.build(config.load())
    until = time.monotonic() + float(seconds)
    while time.monotonic() < until:
        ticks.send(wiring)
        time.sleep(0.05)
