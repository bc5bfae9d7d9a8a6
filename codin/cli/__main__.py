"""`python -m codin.cli` is `codin`."""

import sys

from codin.cli import main

sys.exit(main())
