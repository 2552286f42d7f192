"""What goes between this device and the hub: link watch, enrolment, courier."""
