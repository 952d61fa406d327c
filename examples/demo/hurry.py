"""Calls as fast as they go, made by `lateen exec` where a workload is: prints the answers as JSON. Needs no package."""

import http.client
import json
import sys

_TIMEOUT_SECONDS = 5.0


def main(host: str, port: str, path: str, calls: str) -> None:
    """Print for each call the status, the limit that has counted it, and in how many seconds to come back."""
    connection = http.client.HTTPConnection(host, int(port), timeout=_TIMEOUT_SECONDS)
    answers = []
    for _ in range(int(calls)):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        told = {"limit": "x-ratelimit-limit", "retry_after": "retry-after"}
        headers = {name: answer.getheader(header, "") for name, header in told.items()}
        answers.append({"status": answer.status, **headers})
    print(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
