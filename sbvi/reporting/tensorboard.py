"""TensorBoard event files: scalars, images and HParams, with the `tensorboard` package alone."""

import contextlib
import io
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_FLOAT
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from sbvi.core.configs import spelled

FLUSH_SECONDS = 5


def _new_file(folder: Path) -> Any:
    """An events file of a name that no other writer has, in the form that TensorBoard looks for."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1000):
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{number}"
        with contextlib.suppress(FileExistsError):
            return open(folder / name, "xb")
    raise FileExistsError(f"{folder} has no room for another events file")


class TensorBoard:
    """Writes one run's events. A resumed run marks where it takes over, so that later points of the
    interrupted session are hidden."""

    def __init__(self, folder: Path, resume_step: int = 0):
        again = any(folder.glob("events.out.tfevents.*"))
        # Written here and not by the package's thread: a disk that is full must stop the run, in a sentence.
        self._writer = RecordWriter(_new_file(folder))
        self._flushed = time.monotonic()
        self._add(Event(file_version="brain.Event:2"), 0)
        if resume_step or again:  # also where an earlier session ended before its first checkpoint
            self._add(Event(session_log=SessionLog(status=SessionLog.START)), resume_step + 1)

    def _add(self, event: Event, step: int) -> None:
        event.step = step
        event.wall_time = time.time()
        self._writer.write(event.SerializeToString())
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        self._add(Event(summary=summary), step)

    def image(self, step: int, tag: str, picture: np.ndarray) -> None:
        """picture: (H, W) or (H, W, 3) uint8."""
        from PIL import Image

        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "png")
        encoded = Summary.Image(
            height=picture.shape[0],
            width=picture.shape[1],
            colorspace=1 if picture.ndim == 2 else 3,
            encoded_image_string=buffer.getvalue(),
        )
        self._add(Event(summary=Summary(value=[Summary.Value(tag=tag, image=encoded)])), step)

    def start_session(self, hparams: Mapping[str, Any], group: str) -> None:
        """HParams of this run; without an experiment record the columns are the union over runs."""
        info = plugin_data_pb2.SessionStartInfo(group_name=_valid(group), start_time_secs=time.time())
        for name, value in hparams.items():
            if isinstance(value, bool):
                info.hparams[name].bool_value = value
            elif isinstance(value, int | float):
                info.hparams[name].number_value = value
            else:
                info.hparams[name].string_value = _valid(spelled(value))
        self._hparams("_hparams_/session_start_info", plugin_data_pb2.HParamsPluginData(session_start_info=info))

    def end_session(self, success: bool) -> None:
        status = api_pb2.STATUS_SUCCESS if success else api_pb2.STATUS_FAILURE
        info = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
        self._hparams("_hparams_/session_end_info", plugin_data_pb2.HParamsPluginData(session_end_info=info))

    def _hparams(self, tag: str, data: Any) -> None:
        metadata = SummaryMetadata(
            plugin_data=SummaryMetadata.PluginData(plugin_name="hparams", content=data.SerializeToString())
        )
        # TensorBoard reads the metadata of tensors only; the value itself means nothing.
        empty = TensorProto(dtype=DT_FLOAT, float_val=[0.0], tensor_shape={"dim": [{"size": 1}]})
        self._add(Event(summary=Summary(value=[Summary.Value(tag=tag, metadata=metadata, tensor=empty)])), 0)

    def close(self) -> None:
        self._writer.close()


def _valid(text: str) -> str:
    """Text that UTF-8 can hold: a path may have bytes that are none."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
