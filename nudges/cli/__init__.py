"""The commands of `python -m nudges`, a module for each kind of work."""
