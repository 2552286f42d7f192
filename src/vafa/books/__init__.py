"""What an event does to the books: pure, written once; the device, the hub and verify use it."""
