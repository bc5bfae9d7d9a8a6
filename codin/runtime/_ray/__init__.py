"""What `RayRuntime` is made of."""
