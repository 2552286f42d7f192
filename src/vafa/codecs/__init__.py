"""Bytes of a terminal's protocol to payments and back. No I/O, no clock, no logging."""
