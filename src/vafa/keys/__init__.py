"""Keyed tokens, and sealing of what must stay unreadable."""
