"""The nouns every other room speaks in. No I/O, no clock, no third-party library but msgspec."""
