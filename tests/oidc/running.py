"""Runs the OpenID provider, and a person in front of a browser. What they need of npm is installed once, by the lock."""

import copy
import json
import os
import re
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPCookieProcessor, HTTPRedirectHandler, build_opener

HERE = Path(__file__).parent
INSTALL_SECONDS, BROWSER_SECONDS = 120, 90


@dataclass(frozen=True)
class Client:
    """What the provider knows of the gateway."""

    client_id: str
    secret: str
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """What a browser got, after all redirections."""

    status: int
    url: str
    body: str
    headers: Mapping[str, str]

    @property
    def seen(self) -> Mapping[str, str]:
        """The headers that the application behind the gateway was given."""
        return dict(json.loads(self.body)["headers"])


def install() -> None:
    """Install what the lock file says, unless it is there."""
    lock, mark = HERE / "package-lock.json", HERE / "node_modules" / ".package-lock.json"
    if mark.exists() and mark.stat().st_mtime >= lock.stat().st_mtime:
        return
    command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    os.utime(mark)


@contextmanager
def provider(port: int, client: Client, access_token_seconds: int = 600) -> Iterator[str]:
    """Run a provider; gives its issuer."""
    install()
    command = ["node", "provider.mjs", str(port), client.client_id, client.secret, ",".join(client.redirect_uris)]
    with subprocess.Popen(
        [*command, str(access_token_seconds)], cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def document(url: str) -> Any:
    """Read a JSON document of the provider."""
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


class Person:
    """Somebody with a cookie jar who fills in the provider's forms; a browser without scripts."""

    def __init__(self, name: str) -> None:
        self._name = name
        # Browsers take Secure cookies from localhost, though it is no HTTPS.
        self.cookies = CookieJar(DefaultCookiePolicy(secure_protocols=("https", "http")))
        self._opener = build_opener(HTTPCookieProcessor(self.cookies))
        self._careful = build_opener(HTTPCookieProcessor(self.cookies), _Staying())

    def open(self, url: str, form: Mapping[str, str] | None = None, **headers: str) -> Page:
        """Open a page and follow redirections."""
        return _open(self._opener, url, form, headers)

    def look(self, url: str, **headers: str) -> Page:
        """Open a page and stay where the first answer is."""
        return _open(self._careful, url, None, headers)

    def log_in(self, url: str) -> Page:
        """Open a page that needs a login, and fill in what comes until it is there."""
        page = self.open(url)
        for _ in range(4):
            action = re.search(r'<form[^>]*action="([^"]+)"', page.body)
            if action is None:
                return page
            hidden = dict(re.findall(r'name="(prompt)" value="([^"]+)"', page.body))
            form = {**hidden, "login": self._name, "password": "any"}
            page = self.open(urljoin(page.url, unescape(action[1])), form)
        raise AssertionError(f"the provider goes on asking: {page.body}")

    def add_cookie(self, name: str, value: str) -> None:
        """Have one more cookie for localhost."""
        known = next(iter(self.cookies))
        made = copy.copy(known)
        made.name, made.value, made.domain = name, value, "localhost.local"
        self.cookies.set_cookie(made)

    def drop_cookie(self, prefix: str) -> None:
        """Lose the cookies whose names begin like this."""
        for cookie in [one for one in self.cookies if one.name.startswith(prefix)]:
            self.cookies.clear(cookie.domain, cookie.path, cookie.name)


class _Staying(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow nothing."""


def _open(opener: Any, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str]) -> Page:
    written = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, urlencode(form).encode() if form else None, written)
    try:
        answer = opener.open(request, timeout=10)
    except HTTPError as error:
        answer = error
    with answer:
        return Page(
            answer.status, answer.url, answer.read().decode(), {k.lower(): v for k, v in answer.headers.items()}
        )


def person_in_a_browser(url: str, user: str, logout_path: str) -> Any:
    """Let Chromium log in and out; what it saw."""
    install()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    assert chromium, "there is no chromium: run scripts/system-tools browser"
    command = ["node", "browser.mjs", chromium, url, user, logout_path]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=BROWSER_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
