"""Importers: recordings in other formats to a log, each behind its own extra, streaming, with progress."""

from __future__ import annotations

from embodied_ssl.logs.importers.base import IMPORTERS, Importer, ImportReport

__all__ = ["IMPORTERS", "ImportReport", "Importer"]
