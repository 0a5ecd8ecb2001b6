"""Builds the second layer from the texts in this folder; nothing here is needed at run time.

python -m nudges.crisis.training.build
"""
