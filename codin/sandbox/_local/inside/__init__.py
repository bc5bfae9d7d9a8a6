"""What runs inside of a local sandbox. Nothing here is imported by the host, which hands it in."""
