"""A Twilio Messages API on this machine: accepts, refuses, breaks on order, calls back signed, and remembers."""
