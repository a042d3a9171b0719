"""`make run`: real servers from wheels, also for tests, and the supervisor. The image does not include it."""
