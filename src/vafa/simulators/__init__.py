"""Pretend terminals, printers and shops for demos, training and tests."""
