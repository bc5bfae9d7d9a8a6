"""Signed cards, and what a verifier makes of them."""
