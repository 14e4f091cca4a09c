#!/usr/bin/env python3
"""Prints the networks from which CloudFront asks its origins, as AWS publishes them; only Debian's Python is there."""

import json
import urllib.request

_RANGES = "https://ip-ranges.amazonaws.com/ip-ranges.json"


def networks(ranges: str) -> str:
    """Those of IPv4, parted by blanks: a load balancer of ours has no other."""
    prefixes = json.loads(ranges)["prefixes"]
    return " ".join(prefix["ip_prefix"] for prefix in prefixes if prefix["service"] == "CLOUDFRONT_ORIGIN_FACING")


if __name__ == "__main__":
    with urllib.request.urlopen(_RANGES, timeout=10) as answer:
        print(networks(answer.read()))
