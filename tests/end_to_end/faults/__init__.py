"""Faults of everything that the chat stands on, under load: what was acknowledged is there and arrives, once."""
