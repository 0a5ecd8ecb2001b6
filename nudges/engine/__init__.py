"""The beat: what runs every few seconds, and what makes it run."""
