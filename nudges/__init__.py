"""The Nudges service: data, channels, inbound and outbound flows, pages. Decisions live in `schedules`."""
