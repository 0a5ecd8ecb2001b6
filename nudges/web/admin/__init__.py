"""Pages of the people who run the program."""
