"""Builds the second layer from the texts in this folder: `python -m nudges.crisis.training.build`. Not needed at run time."""
