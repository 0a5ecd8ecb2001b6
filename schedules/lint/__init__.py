"""The language lint: every text a family can read, held to rules that name file, line, rule and a way to mend it."""
