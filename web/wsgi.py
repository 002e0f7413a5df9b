"""What gunicorn serves."""

import sys

from gunicorn.arbiter import Arbiter

from shared import logs
from shared.config import BadSettings, settings
from web.app import create_app

logs.set_up(settings().log_level, settings().log_format)
try:
    app = create_app(settings())
except BadSettings as error:
    sys.stderr.write(f"sluice: {error}\n")
    sys.exit(Arbiter.WORKER_BOOT_ERROR)  # any other code, and it would be tried for ever
