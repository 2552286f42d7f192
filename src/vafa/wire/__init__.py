"""What device and hub say to each other: messages, signatures' input, limits, the packed rows. Pure."""
