"""Where sequences are written: drafts, immutable versions, their impact on running families."""
