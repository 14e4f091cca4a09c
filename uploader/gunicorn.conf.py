"""How gunicorn runs the uploader."""

import ctypes

from thumbstack.json_log import configuration
from thumbstack.workers import child_exit, post_fork, post_request, pre_fork, replace_above  # noqa: F401

# An upload mostly waits: for the client's bytes and for S3. Threads wait cheaply; two processes use both cores.
worker_class = "gthread"
workers = 2
threads = 16
# gthread workers are never killed for a slow request, only for a heartbeat that stops.
timeout = 60
# SIGTERM: no new requests; what is under way may end. Compose and supervisor wait a little longer than this.
graceful_timeout = 60
keepalive = 75  # longer than nginx keeps an idle upstream connection, so that nginx is the one to close it
# nginx has measured them and says 400 or 414 in JSON; what it lets through is not refused here, in HTML. 0: any length.
limit_request_line = 0
limit_request_field_size = 0
limit_request_fields = 32768
forwarded_allow_ips = "*"  # only nginx reaches this port
# The one that nginx sets. Of the others that gunicorn believes in by itself, a client's own would be passed on.
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
# One JSON line a request, and one for whatever else is said.
logconfig_dict = configuration("uploader")
# Above what a decode of the largest picture takes, so that only what stays counts; the container has 2 GB for two.
replace_above(768 << 20)
# Heartbeats of the workers; a read-only root file system has memory there.
worker_tmp_dir = "/dev/shm"  # noqa: S108
# Nobody steers a running gunicorn; its socket would want a home that may be written, and both rooms the same one.
control_socket_disable = True

# Of what a thread frees glibc keeps most for that thread: after pictures of 40 megapixels the room kept 2.7 GB. Blocks
# of a megabyte and more shall come from the system and go back at once (M_MMAP_THRESHOLD; set, it does not grow by
# itself); smaller ones are shared by two arenas (M_ARENA_MAX). Workers inherit it. Other C libraries have no mallopt.
libc = ctypes.CDLL(None)
if hasattr(libc, "mallopt"):
    libc.mallopt(-3, 1 << 20)
    libc.mallopt(-8, 2)
