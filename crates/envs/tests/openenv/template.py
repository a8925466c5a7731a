"""Serves at PORT the environment that `openenv init` writes: an echo, in one session at a time."""

import os
import sys
import tempfile
from importlib import resources
from pathlib import Path

import uvicorn

folder = Path(tempfile.mkdtemp())
template = resources.files("openenv.cli.templates").joinpath("openenv_env")
for place in ["models.py", "server/app.py", "server/__init__.py", "server/__ENV_NAME___environment.py"]:
    text = template.joinpath(place).read_text()
    for mark, name in [("__ENV_NAME__", "echo"), ("__ENV_CLASS_NAME__", "Echo"), ("__ENV_TITLE_NAME__", "Echo")]:
        text, place = text.replace(mark, name), place.replace(mark, name)
    (folder / place).parent.mkdir(exist_ok=True)
    (folder / place).write_text(text)
sys.path.insert(0, str(folder))
# Pings come often, so that a client which doesn't answer them is noticed.
settings = {"ws_ping_interval": 1.0, "ws_ping_timeout": 2.0, "log_level": "warning"}
uvicorn.run("server.app:app", host="127.0.0.1", port=int(os.environ["PORT"]), **settings)
