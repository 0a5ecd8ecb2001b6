"""From a decision to a delivered text: planner, outbox, sender, receipts, reconciliation."""
