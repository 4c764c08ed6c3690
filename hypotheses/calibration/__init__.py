"""How often each test cries wolf, what it can see, and whether its intervals cover: measured on planted truth."""
