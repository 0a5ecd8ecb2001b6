"""May this parent enter this sequence? Entry conditions that safety and the law ask for (content.md §2.3 to §2.16)."""

from __future__ import annotations

from datetime import timedelta

from schedules.localtime import Minute
from schedules.policy import Policy
from schedules.values import Profile, Reason, Sequence, Thread


def refusal(sequence: Sequence, thread: Thread, policy: Policy, now: Minute) -> Reason | None:
    """Why not, in words for staff; none when nothing stands against it. Unknown is never read as safe."""
    profile, traits, key = thread.profile, sequence.traits, sequence.key
    if thread.in_sequence(key) is not None:
        return Reason(code="already_enrolled", words=f"{key} already runs for this parent.")
    if any(hold.kind not in ("conversation", "safeguarding") for hold in thread.holds):
        return Reason(code="held", words=f"{key} cannot begin while everything is held; release the hold first.")
    if not traits.under_safeguarding and any(hold.kind == "safeguarding" for hold in thread.holds):
        words = f"{key} stays off until the safeguarding lead has cleared the family."
        return Reason(code="held", words=words)
    if traits.needs_order_ok and profile.court_ordered != "no" and profile.break_ok_by not in ("court", "lawyer"):
        words = "An order may apply and no OK from the court or the parent's lawyer is noted: ask first."
        return Reason(code="order_without_ok", words=words)
    if traits.needs_screening:
        return _unscreened(key, profile)
    if traits.not_after_crisis:
        return _too_soon_after_crisis(thread, policy, now)
    return None


def missing_date(sequence: Sequence, thread: Thread) -> str | None:
    """What staff must still enter before the sequence can text at all, in words; none when nothing is missing."""
    kind = sequence.traits.needs_date
    if kind is None or any(k.kind == kind and k.status == "set" for k in thread.key_dates):
        return None
    return f"{sequence.key} waits for a date: {kind.replace('_', ' ')}. Ask once, then enter it."


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


def _too_soon_after_crisis(thread: Thread, policy: Policy, now: Minute) -> Reason | None:
    least = timedelta(days=policy.crisis_free_days)
    if any(k.kind == "crisis_report" and now - k.at < least for k in thread.key_dates):
        return Reason(code="recent_crisis", words=f"A crisis was reported in the last {policy.crisis_free_days} days.")
    if thread.pace.no_talks_until is not None and now < thread.pace.no_talks_until:
        return Reason(code="recent_crisis", words="Talks rest after a crisis.")
    if thread.pace.cool_until is not None and now < thread.pace.cool_until:
        return Reason(code="cool_down", words="A hard moment was just reported; start after the cool-down.")
    return None
