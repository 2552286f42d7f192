"""The club's rules as pure functions of a programme document and a sale."""
