"""Ways to reach a phone. Every channel looks alike; nothing above this folder knows a provider."""
