"""Vafa: a card terminal becomes a customer club, with or without a network."""

__version__ = "0.1.0"
