"""Push messages to browsers: encryption and signature, what a message says, and the client of push services."""
