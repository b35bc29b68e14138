"""What a loaded run offers, a class for each kind of question; `sbvi.runs.loaded.LoadedRun` inherits them all."""
