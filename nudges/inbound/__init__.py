"""Texts that come in: read the words, screen for danger, act, answer; one transaction for each text."""
