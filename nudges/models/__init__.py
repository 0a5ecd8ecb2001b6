"""All tables, one file per flow; columns, constraints and indexes, no behaviour."""
