"""What is to be sent: queue, table of statuses, taking back. The one writer of outbox rows, below all who queue."""
