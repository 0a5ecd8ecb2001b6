"""What the fake says about the account itself: the account, Messaging Services with their webhooks, their numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_ACCOUNT = re.compile(r"/2010-04-01/Accounts/(AC[0-9a-fA-F]{32})\.json")
_SERVICE = re.compile(r"/v1/Services/(MG[0-9a-fA-F]{32})(/PhoneNumbers)?")


@dataclass(kw_only=True, slots=True)
class Account:
    """`services` by their id: the fields that Twilio's own resource has."""

    status: str = "active"
    services: dict[str, dict[str, object]] = field(default_factory=dict)
    numbers: tuple[str, ...] = ("+13125550100",)

    def is_about(self, path: str) -> bool:
        return bool(_ACCOUNT.fullmatch(path) or _SERVICE.fullmatch(path))

    def resource(self, path: str, account_sid: str) -> dict[str, object] | None:
        """The resource at a path, or none: 404."""
        account = _ACCOUNT.fullmatch(path)
        if account is not None:
            return {"sid": account_sid, "status": self.status, "type": "Full"} if account[1] == account_sid else None
        service = _SERVICE.fullmatch(path)
        if service is None or service[1] not in self.services:
            return None
        if service[2]:
            numbers = [{"sid": f"PN{n:032x}", "phone_number": number} for n, number in enumerate(self.numbers, 1)]
            return {"phone_numbers": numbers, "meta": {"key": "phone_numbers"}}
        return {"sid": service[1], "account_sid": account_sid, **self.services[service[1]]}
