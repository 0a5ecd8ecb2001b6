"""Texts on their way out: planned, queued, handed over once, followed until they end."""
