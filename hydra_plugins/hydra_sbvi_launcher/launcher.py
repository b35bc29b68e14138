"""Where Hydra finds `hydra/launcher=sbvi`; the launcher itself is in `sbvi.sweeps.launcher`."""

from sbvi.sweeps import launcher


class SbviLauncher(launcher.SbviLauncher):
    """Hydra takes a plugin only from this namespace."""
