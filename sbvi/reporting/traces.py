"""Chains as pictures and as an ArviZ dataset."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sbvi.core import UserError
from sbvi.core.atomic import new_file
from sbvi.reporting.figures import INK, Figure, new_figure


def draw_traces(traces: Mapping[str, np.ndarray], targets: Mapping[str, float], columns: int = 2) -> Figure:
    """A figure of every quantity (chains, draws) against the draw's number, with its target as a line."""
    rows = -(-len(traces) // columns)
    figure = new_figure(4.6 * columns, 2.1 * rows)
    for place, (name, trace) in enumerate(traces.items(), 1):
        axes = figure.add_subplot(rows, columns, place)
        for chain, values in enumerate(trace):
            axes.plot(np.arange(1, len(values) + 1), values, linewidth=1, label=f"chain {chain}")
        if name in targets:
            axes.axhline(targets[name], color=INK, linestyle="--", linewidth=1)
        axes.set_title(name, fontsize=9)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.3)
        if place + columns > len(traces):  # nothing stands below
            axes.set_xlabel("draw", fontsize=8)
        if place == 1 and len(trace) > 1:
            axes.legend(frameon=False, fontsize=8)
    return figure


def check_arviz(path: str) -> None:
    """Refuse a NetCDF file that could not be written, before any work is done.

    Raises:
      UserError: ArviZ is not installed, or the name is not that of a new .nc file in a folder that is there.
    """
    place = Path(path)
    if place.suffix != ".nc" or place.exists() or not place.parent.is_dir():
        raise UserError(f"task.arviz={path} must be a new file that ends in .nc, in a folder that is there.")
    try:
        import arviz  # noqa: F401
        import h5netcdf  # noqa: F401
    except ImportError:
        raise UserError(f"task.arviz={path} needs ArviZ with h5netcdf: pip install 'sbvi[arviz]'.") from None


def write_arviz(path: str, posterior: Mapping[str, np.ndarray], statistics: Mapping[str, np.ndarray]) -> None:
    """Write quantities (chains, draws, ...) of the parameters and of the sampler as an ArviZ InferenceData, which has
    its name once it is whole.

    Raises:
      UserError: something stands there, or it cannot be written.
    """
    import arviz

    whole = arviz.from_dict(posterior=dict(posterior), sample_stats=dict(statistics))
    try:
        with tempfile.TemporaryDirectory() as folder, new_file(Path(path)) as file:
            # ArviZ opens it by its name, once for each group.
            written = Path(whole.to_netcdf(str(Path(folder, "chains.nc")), engine="h5netcdf"))
            file.write(written.read_bytes())
    except (OSError, RuntimeError) as error:  # HDF5 raises either, and tells of a full disk over several lines
        said = re.search("error message = '([^']*)'", str(error))
        why = said[1] if said else getattr(error, "strerror", None) or str(error).partition("\n")[0]
        raise UserError(f"task.arviz={path} cannot be written ({why}).") from None
