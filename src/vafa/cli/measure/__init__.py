"""What `vafa bench` measures, one module a subject, and the table of goals it is held against."""
