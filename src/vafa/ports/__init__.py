"""Serial, TCP, unix and pty links, the clock, systemd."""
