"""What a user's mistake must look like."""

from __future__ import annotations

from pathlib import Path


def said_in_one_line(capsys, message: str, folder: Path) -> None:
    """Check that the command said ``message`` in one line, and left no run in ``folder``."""
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("embodied-ssl: ")
    assert message in err
    assert not (folder / "runs").exists() or not list((folder / "runs").iterdir())
