"""May this parent enter this sequence? Entry conditions that safety and the law ask for (content.md §2.3 to §2.16)."""

from __future__ import annotations

from datetime import datetime, timedelta

from schedules.policy import Policy
from schedules.values import UNDER_SAFEGUARDING, Profile, Reason, Thread

STAFF_ONLY = ("PATIENCE", "BREAK", "AFTERCRISIS")
_AFTER_SCREEN = ("PATIENCE", "RECONNECT")


def refusal(key: str, thread: Thread, policy: Policy, now: datetime) -> Reason | None:
    """Why not, in words for staff; none when nothing stands against it. Unknown is never read as safe."""
    profile = thread.profile
    if thread.in_sequence(key) is not None:
        return Reason(code="already_enrolled", words=f"{key} already runs for this parent.")
    if any(hold.kind not in ("conversation", "safeguarding") for hold in thread.holds):
        return Reason(code="held", words=f"{key} cannot begin while everything is held; release the hold first.")
    if key not in UNDER_SAFEGUARDING and any(hold.kind == "safeguarding" for hold in thread.holds):
        words = f"{key} stays off until the safeguarding lead has cleared the family."
        return Reason(code="held", words=words)
    if key == "BREAK" and profile.court_ordered != "no" and profile.break_ok_by not in ("court", "lawyer"):
        words = "An order may apply and no OK from the court or the parent's lawyer is noted: ask first."
        return Reason(code="order_without_ok", words=words)
    if key in _AFTER_SCREEN:
        return _unscreened(key, profile)
    if key == "TALK":
        return _too_soon_after_crisis(thread, policy, now)
    return None


_DATE_NEEDED = {"DRIVE": "session", "REMIND": "session", "BREAK": "break_start", "AFTERCRISIS": "crisis_report"}


def missing_date(key: str, thread: Thread) -> str | None:
    """What staff must still enter before the sequence can text at all, in words; none when nothing is missing."""
    kind = _DATE_NEEDED.get(key)
    if kind is None or any(k.kind == kind and k.status == "set" for k in thread.key_dates):
        return None
    return f"{key} waits for a date: {kind.replace('_', ' ')}. Ask once, then enter it."


def _unscreened(key: str, profile: Profile) -> Reason | None:
    flags = (profile.protective_order, profile.abuse_concern, profile.child_fear)
    if any(flags):
        return Reason(code="safety_flag", words=f"A safety flag is set: {key} stays off until a person clears it.")
    if None in flags or profile.contact_plan is None or profile.court_ordered == "unknown":
        words = f"The safety screen is not complete (orders, abuse, fear, contact plan): {key} waits for it."
        return Reason(code="not_screened", words=words)
    if profile.contact_plan == "none":
        return Reason(code="no_contact", words=f"There is no contact with the child: {key} is off.")
    return None


def _too_soon_after_crisis(thread: Thread, policy: Policy, now: datetime) -> Reason | None:
    least = timedelta(days=policy.crisis_free_days)
    if any(k.kind == "crisis_report" and now - k.at < least for k in thread.key_dates):
        return Reason(code="recent_crisis", words=f"A crisis was reported in the last {policy.crisis_free_days} days.")
    if thread.pace.cool_until is not None and now < thread.pace.cool_until:
        return Reason(code="cool_down", words="A hard moment was just reported; start after the cool-down.")
    return None
