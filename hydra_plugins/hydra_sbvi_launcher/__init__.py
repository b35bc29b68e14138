"""The `hydra/launcher=sbvi` plugin; Hydra looks for plugins in this namespace folder alone."""
