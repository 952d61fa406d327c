"""One call, made by `lateen exec` where a workload is: prints what came of it as JSON. Needs no package."""

import http.client
import json
import sys

_TIMEOUT_SECONDS = 5.0
_LONGEST_BODY = 80


def main(host: str, port: str, path: str) -> None:
    """Print the status and the beginning of the answer; status 0 where none came, and then why."""
    connection = http.client.HTTPConnection(host, int(port), timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        status, said = answer.status, answer.read().decode(errors="replace")
    except ConnectionResetError:
        status, said = 0, "reset"
    except (OSError, http.client.HTTPException) as error:
        status, said = 0, str(error) or type(error).__name__
    print(json.dumps({"status": status, "said": said[:_LONGEST_BODY]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
