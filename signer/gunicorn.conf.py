"""How gunicorn runs the signer."""

from thumbstack.json_log import configuration
from thumbstack.workers import child_exit, post_fork, post_request, pre_fork, replace_above  # noqa: F401

# Pure computing in microseconds: one process a core is all that helps.
worker_class = "gthread"
workers = 2
threads = 4
timeout = 30
graceful_timeout = 10
keepalive = 75  # longer than nginx keeps an idle upstream connection, so that nginx is the one to close it
# nginx has measured them and says 400 or 414 in JSON; what it lets through is not refused here, in HTML. 0: any length.
limit_request_line = 0
limit_request_field_size = 0
limit_request_fields = 32768
forwarded_allow_ips = "*"  # only nginx reaches this port
# The one that nginx sets. Of the others that gunicorn believes in by itself, a client's own would be passed on.
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
# One JSON line a request, and one for whatever else is said.
logconfig_dict = configuration("signer")
# Each takes 40 MB, and the container has 256.
replace_above(100 << 20)
# Heartbeats of the workers; a read-only root file system has memory there.
worker_tmp_dir = "/dev/shm"  # noqa: S108
# Nobody steers a running gunicorn; its socket would want a home that may be written, and both rooms the same one.
control_socket_disable = True
