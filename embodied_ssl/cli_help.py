"""Help of the commands around logs, with the options of every format as their constructors document them."""

from __future__ import annotations

import inspect
import re
from typing import Any

from embodied_ssl.registry import Registry

RECORD = """usage: embodied-ssl record ID --out LOG.zarr [--KEY VALUE ...]

  --out PATH     the log to make
  --steps N      lane-steps in all (default: 1000 for each lane); --lanes N robots side by side share them
  --lanes N      default 1
  --seed N       of the env and of random actions; default 0
  --policy P     random (default), zero, or MODULE:FUNCTION as in `embodied-ssl view`
  --KEY VALUE    of the env itself, for example --cameras false

Ctrl-C ends the recording; what was recorded is whole. A killed one loses at most its last second: see
`embodied-ssl log recover`. The log holds what the env observes, actions, rewards and episodes, no privileged state.
"""

LOG = """usage: embodied-ssl log VERB LOG.zarr

  inspect [--out PICTURE.png] [--quick]   rates, gaps, drops, doubles, sick sensors and sizes of every stream; --out
                                          draws them over time; --quick looks at times only
  verify [--quick]                        read and check everything (exit status 1: damaged); --quick looks for files
  recover                                 after a crash: drop what was never committed; what was committed is untouched
  compact [--out OTHER.zarr]              few large files, in place or into another folder; it grows no more after that
"""

IMPORT = """usage: embodied-ssl import SOURCE --out LOG.zarr [--format NAME] [--KEY VALUE ...]

The format is found by looking at SOURCE; name it where that fails. Numbers stay as they are in the file; what was left
out or assumed is said, and kept in the log. Formats and their options:
"""

EXPORT = """usage: embodied-ssl export LOG.zarr --to FORMAT --out PATH [--skip-corrupt] [--KEY VALUE ...]

--skip-corrupt leaves damaged chunks out and counts them.

Formats and their options:
"""


def formats(registry: Registry[Any]) -> str:
    """Return a paragraph for every format: the extra that it needs and its options."""
    return "\n".join(_format(name, registry[name]) for name in registry)


def _format(name: str, kind: Any) -> str:
    extra = f"pip install 'embodied-ssl[{kind.extra}]'" if kind.extra else "needs no extra"
    told = _told(kind.__init__.__doc__ or "")
    lines = [f"  {name}  ({extra})"]
    for option in inspect.signature(kind).parameters.values():
        if option.kind is option.KEYWORD_ONLY:
            default = "" if option.default in (None, "") else f" (default: {option.default})"
            lines.append(f"    --{option.name} VALUE{default}  {told.get(option.name, '')}")
    return "\n".join(lines) + "\n"


def _told(docstring: str) -> dict[str, str]:
    """Return what the ``Args`` of a docstring say, by argument."""
    section = re.search(r"Args:\n(.*?)(?:\n\s*\n|\Z)", inspect.cleandoc(docstring), re.DOTALL)
    if section is None:
        return {}
    entries = re.findall(r"^ {4}(\w+): (.*?)(?=^ {4}\w+: |\Z)", section[1] + "\n", re.DOTALL | re.MULTILINE)
    return {name: " ".join(words.split()) for name, words in entries}
