"""The parts of the Redis memory."""
