"""What the wasm sandbox is made of: files in memory, a host for WASI, an interpreter that is built once."""
