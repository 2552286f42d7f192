"""The daemon: config, lanes, jobs, sockets, and their wiring."""
