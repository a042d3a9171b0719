"""What tests stand on: real servers of their own, databases, real processes. No test is in here."""
