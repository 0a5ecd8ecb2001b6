"""Texts from on-call phones: a bare digit takes the newest alert, so that nobody has to sign in at 3 a.m. first."""

from __future__ import annotations

from nudges.alerts import acknowledging
from nudges.inbound import inbox, intents
from nudges.inbound.texts import Handled, Received

TAKE_IT = "1"


def take_alert(received: Received) -> Handled | None:
    """A digit from somebody who was paged takes that alert. A parent's phone is otherwise a parent's."""
    staff = received.sender.staff
    if staff is None:
        return None
    words = intents.fold(received.text)
    if words == [TAKE_IT]:
        alert = acknowledging.acknowledge_by_phone(received.session, staff, received.now)
        if alert is not None:
            return Handled(how="acknowledged", texts=(f"Alert {alert.id} is yours. Open the alerts page now.",))
    if received.sender.parent is not None:
        return None
    inbox.add_task(received, kind="staff_text", words="Somebody on call texted this number. Read it.", priority=3)
    nothing_open = "No alert of yours is open. " if words == [TAKE_IT] else ""
    return Handled(
        how="staff",
        texts=(f"{nothing_open}This number takes only 1, for your newest alert. Sign in for the rest.",),
    )
