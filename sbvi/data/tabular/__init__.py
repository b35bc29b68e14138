"""Tables: what kind each column is, how its cells are read and spelled, and what is missing."""
