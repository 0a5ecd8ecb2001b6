"""Pages of the people who look after families."""
