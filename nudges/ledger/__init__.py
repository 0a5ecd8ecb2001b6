"""Append-only: what people and the system did to families, chained by hashes."""
