"""What a call carries through the tree of calls, signed."""
