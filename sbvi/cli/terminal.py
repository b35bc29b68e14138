"""A bar on a terminal that leaves out what matters least where the terminal is narrow."""

from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm
from tqdm.utils import disp_len, disp_trim


class FittedBar(tqdm):  # type: ignore[misc]  # tqdm has no types
    """A bar with several forms, of which the fullest that fits is shown: the terminal may change its width.

    Args:
      layouts: formats as tqdm's `bar_format`, the fullest first, which may name what `tell` was given.
      options: tqdm's.
    """

    def __init__(self, layouts: Sequence[str], **options: Any):
        self.layouts, self.told = layouts, dict[str, str]()
        # disable=None: only on a terminal.
        super().__init__(disable=None, leave=False, dynamic_ncols=True, bar_format=layouts[0], **options)

    def tell(self, told: Mapping[str, str], done: int) -> None:
        """Show words by name, and that `done` of the total is done."""
        self.told = dict(told)
        self.update(done - self.n)
        self.refresh()

    def __str__(self) -> str:
        if not self.told:  # before the first words
            return ""
        about = self.format_dict
        room = (about["ncols"] or 0) - 1  # a full last column would begin another line
        line = ""
        for layout in self.layouts:
            line = self.format_meter(**about | self.told | {"bar_format": layout, "ncols": None})
            if room <= 0 or disp_len(line) <= room:
                return line
        trimmed: str = disp_trim(line, room)
        return trimmed
