"""Why the desk refuses something."""

from __future__ import annotations


class DeskError(ValueError):
    """Something cannot be proposed or published like this. `faults` are sentences that say what to mend."""

    def __init__(self, *faults: str) -> None:
        super().__init__(" ".join(faults))
        self.faults = faults
