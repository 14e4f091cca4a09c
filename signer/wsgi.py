"""The process: the only place that reads the environment."""

from signer import create_app
from signer.config import Config

application = create_app(Config.read("signer"))
