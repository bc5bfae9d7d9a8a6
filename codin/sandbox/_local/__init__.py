"""The parts of the local sandbox."""
