"""Which text a parent gets, when, in which words, and why not: pure decisions on plain values.

Nothing here does I/O (but one read of the library at start-up), reads a clock, or knows a framework.
This is not the wiring of APScheduler: that is `nudges/engine`.
"""
