"""Alerts: raised in the transaction of the text that shows danger, paged, escalated, answered for by a person."""
