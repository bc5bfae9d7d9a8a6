"""Keys: made, kept in files with safe permissions, published."""
