"""The parts of the SQLite memory."""
