"""Reads every inbound text for danger, and writes the instructions that answer it: pure, offline,
deterministic.

`screen.screen` is the door in, `replies.reply` the door out. Nothing here knows a framework, a database or a
clock; the package
reads its own data files (rules, word lists, model, resources) once, when it is first used.
"""
