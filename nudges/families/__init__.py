"""Families: who they are, who looks after them, what they agreed to, and rows turned into the core's values."""
