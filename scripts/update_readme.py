"""Fill the README's blocks from what the project really prints: the example, its output, a typo's answer.

    python scripts/update_readme.py

The quickstart table is written by ``scripts/experiments/quickstart_seeds.py --table``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "scripts" / "examples" / "own_loop.py"


def printed(*command: str, cwd: Path) -> str:
    """Return what a command prints on either stream, exit status ignored: a typo's is 2."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.strip()


def replace_block(text: str, name: str, content: str) -> str:
    """Return ``text`` with all between the markers of ``name`` replaced."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, rest = text.split(begin, 1)
    _, after = rest.split(end, 1)
    return f"{before}{begin}{content}\n{end}{after}"


def main() -> None:
    """Run the commands and rewrite the README."""
    readme = ROOT / "README.md"
    source = EXAMPLE.read_text().split('"""\n\n', 1)[1].strip()
    with tempfile.TemporaryDirectory() as folder:
        output = printed(sys.executable, str(EXAMPLE), cwd=Path(folder))
        typo = printed(sys.executable, "-m", "embodied_ssl", "train", "--learner.lrr", "1", cwd=Path(folder))
    text = readme.read_text()
    text = replace_block(text, "example", f"```python\n{source}\n```\nprints\n```\n{output}\n```")
    text = replace_block(text, "typo", f"```console\n$ embodied-ssl train --learner.lrr 1\n{typo}\n```")
    readme.write_text(text)


if __name__ == "__main__":
    main()
