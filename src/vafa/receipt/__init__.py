"""What the paper says, in Persian and English, from one content model."""
