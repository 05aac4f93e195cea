"""Where the real recordings lie."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder() -> Path:
    """Return the folder that EMBODIED_SSL_DATA names, by default ``../shared/data`` beside the project.

    Raises:
        SystemExit: it is not there.
    """
    root = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("EMBODIED_SSL_DATA", root.parent / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"{folder} is missing; set EMBODIED_SSL_DATA to the folder with the recordings")
    return folder
