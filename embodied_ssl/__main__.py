"""`python -m embodied_ssl` is the `embodied-ssl` command."""

import sys

from embodied_ssl.cli import main

sys.exit(main())
