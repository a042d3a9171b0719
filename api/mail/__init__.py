"""Mail: the letters, how they are sent, and the loop that sends what waits in the outbox."""
