"""Steps of a die in the order of its program, and the semaphores that keep it."""
