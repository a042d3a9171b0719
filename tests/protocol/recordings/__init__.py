"""Sessions recorded from a real Phoenix server, and the player that holds a running gateway against them."""
