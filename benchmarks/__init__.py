"""Side-by-side measurements of codin against its peers: `python -m benchmarks`."""
