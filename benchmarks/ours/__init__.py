"""The codin side of every benchmark."""
