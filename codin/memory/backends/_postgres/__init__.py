"""The parts of the PostgreSQL memory."""
