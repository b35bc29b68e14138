"""Config files, one folder a group."""
