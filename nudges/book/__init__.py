"""The book: every text of the library on printable pages, for the people who sign it off."""
