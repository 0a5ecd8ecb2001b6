"""The doors of people: pages for counselors and admins, the simulated phone, webhooks, health."""
