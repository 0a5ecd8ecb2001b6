"""The crisis desk: test bench, phrases, drafts and versions, help lines, drills and figures."""
