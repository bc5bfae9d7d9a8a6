"""The measuring rig. Nothing here imports codin or a peer: the two sides run in child processes of their own."""
