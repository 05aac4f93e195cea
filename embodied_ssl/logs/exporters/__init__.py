"""Exporters: a log to formats of other tools, each behind its own extra."""

from __future__ import annotations

from embodied_ssl.logs.exporters.base import EXPORTERS, Exporter, ExportReport

__all__ = ["EXPORTERS", "ExportReport", "Exporter"]

# Registers the formats; each is light to import, as its extra is loaded when it writes.
from embodied_ssl.logs.exporters import lerobot, mcap, rerun  # noqa: F401
