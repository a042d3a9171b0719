"""Sessions recorded from a real Phoenix server, and a player that compares a running gateway with them."""
