"""How we prove to others who we are."""
