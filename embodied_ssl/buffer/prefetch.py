"""The next batch, made in a thread while the learner works on this one.

For a buffer that stands still, or one that is written from another thread anyway. Batches are made one after the
other by one thread, so they and the draws in them are those that would be made without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class _Failure:
    """What making a batch raised."""

    error: BaseException


class Prefetch(Generic[T]):
    """Two batches ahead: one ready, one in the making; on a GPU they are made and moved on a stream of their own."""

    def __init__(self, make: Callable[[], T], device: torch.device | str = "cpu") -> None:
        """Start the thread.

        Args:
            make: makes the next batch; called from the thread only.
            device: where batches are wanted.
        """
        self._make, self._device = make, torch.device(device)
        self._ready: queue.Queue[Callable[[], T] | _Failure] = queue.Queue(maxsize=1)
        self._stop = threading.Event()
        self._failed: _Failure | None = None
        self._stream = None
        if self._device.type == "cuda":
            self._stream = torch.cuda.Stream(self._device)
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with torch.cuda.stream(self._stream) if self._stream is not None else contextlib.nullcontext():
            while not self._stop.is_set():
                try:
                    deliver = self._delivery(self._make())
                except BaseException as error:  # whatever it is, it is the caller's
                    self._put(_Failure(error))
                    return
                self._put(deliver)

    def _delivery(self, batch: T) -> Callable[[], T]:
        """Return what hands the batch to the stream of the caller."""
        if self._stream is None:
            return lambda: batch
        made = self._stream.record_event()

        def deliver() -> T:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(made)
            for tensor in tensors_of(batch):
                if tensor.is_cuda:
                    tensor.record_stream(stream)  # else its memory could be given away while the caller reads it
            return batch

        return deliver

    def _put(self, deliver: Callable[[], T] | _Failure) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(queue.Full):
                self._ready.put(deliver, timeout=0.1)
                return

    def next(self) -> T:
        """Return the next batch.

        Raises:
            RuntimeError: after `close`.
            BaseException: whatever making it raised, now and on every later call.
        """
        if self._stop.is_set():
            raise RuntimeError("the prefetcher is closed")
        if self._failed is None:
            deliver = self._ready.get()
            if not isinstance(deliver, _Failure):
                return deliver()
            self._failed = deliver
        raise self._failed.error

    def close(self) -> None:
        """Stop the thread and drop what was made ahead; may be called twice."""
        self._stop.set()
        with contextlib.suppress(queue.Empty):
            while True:
                self._ready.get_nowait()
        self._thread.join()

    def __enter__(self) -> Prefetch[T]:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Yield every tensor in nested dataclasses, mappings, tuples and lists."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from tensors_of(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_of(part)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from tensors_of(getattr(value, field.name))
