"""What people type. Each verb is one module with a click command named `command`, loaded when it is used."""
