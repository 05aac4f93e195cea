"""Importers: recordings in other formats to a log, each behind its own extra, streaming, with progress."""

from __future__ import annotations

from embodied_ssl.logs.importers.base import IMPORTERS, Importer, ImportReport

__all__ = ["IMPORTERS", "ImportReport", "Importer"]

# Registers the formats; each is light to import, as its extra is loaded when a file is opened.
from embodied_ssl.logs.importers import hdf5, lerobot, mcap, rosbag, ulog, zarr_v2  # noqa: F401
