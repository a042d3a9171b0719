"""`make run`: real servers from wheels, which tests use too, and the supervisor. The image does not have it."""
