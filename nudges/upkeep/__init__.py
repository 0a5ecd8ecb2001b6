"""Keeping an installation well: copies of its database, checks, figures, what lies ahead."""
