"""The certificate authority's state in one private directory: its keys and stage, what it issued, spent tokens.

The keys are in one file that is replaced as a whole. The lists are files to which lines are added before their effect
is seen; a line that a crash has cut short never had any. Keys and spent tokens are on the disk by then; what was issued
is with the kernel, which survives us but not a power failure: that costs rows of a table, and waiting would cost time.
"""

import errno
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from lateen import names
from lateen.auth.certificate import Issued
from lateen.auth.plugged_in import CERTIFICATE_FILE, CHAIN_FILE, KEY_FILE, ROOT_FILE, AuthorityFiles
from lateen.auth.ports import StoredAuthority, StoredRotation
from lateen.auth.tokens import TokenClaims
from lateen.errors import ConfigRejected, Unavailable

_VERSION: Final = 1


class CaFiles:
    """Keeps an authority's state in `directory`, which it makes (0700, files 0600)."""

    def __init__(self, directory: Path) -> None:
        self._authority = directory / "authority.json"
        self._issued = directory / "issued.jsonl"
        self._spent = directory / "spent-tokens.jsonl"
        self._minted = directory / "minted-tokens.jsonl"
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
            directory.chmod(0o700)
        except OSError as error:
            raise Unavailable(f"cannot keep the certificate authority in {directory}: {error.strerror}") from None

    def load_rotation(self) -> StoredRotation | None:
        """Return the kept keys and stage; None at the first start."""
        try:
            told = json.loads(self._authority.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise Unavailable(f"cannot read {self._authority} ({error})") from None
        if not isinstance(told, dict) or told.get("version") != _VERSION:
            raise Unavailable(f"{self._authority} is of another release")
        following = told["next"]
        return StoredRotation(told["stage"], _read_authority(told["current"]), following and _read_authority(following))

    def save_rotation(self, stored: StoredRotation) -> None:
        """Keep these keys and this stage."""
        _replace(self._authority, json.dumps({"version": _VERSION, **asdict(stored)}, indent=1))

    def load_issued(self) -> Sequence[Issued]:
        """Return what was issued, in order."""
        return [_read_issued(each) for each in _read_lines(self._issued)]

    def add_issued(self, issued: Issued) -> None:
        """Keep one more."""
        _append(self._issued, _line(_written_issued(issued)), is_awaited=False)

    def replace_issued(self, issued: Iterable[Issued]) -> None:
        """Keep these and nothing else."""
        _replace(self._issued, "".join(_line(_written_issued(each)) for each in issued))

    def load_spent(self) -> Sequence[tuple[str, datetime]]:
        """Return the ids of used tokens."""
        return [(each["id"], _moment(each["until"])) for each in _read_lines(self._spent)]

    def add_spent(self, token_id: str, until: datetime) -> None:
        """Keep one more."""
        _append(self._spent, _line({"id": token_id, "until": until.timestamp()}), is_awaited=True)

    def replace_spent(self, spent: Iterable[tuple[str, datetime]]) -> None:
        """Keep these and nothing else."""
        _replace(self._spent, "".join(_line({"id": each, "until": until.timestamp()}) for each, until in spent))

    def add_minted(self, claims: TokenClaims, now: datetime) -> None:
        """Keep what one more token says; nobody reads it back but people."""
        told = {
            "id": claims.token_id,
            "minted": now.timestamp(),
            "until": claims.expires.timestamp(),
            "identity": str(claims.identity),
            "workload": claims.workload,
            "app": claims.app,
            "version": claims.version,
        }
        _append(self._minted, _line(told), is_awaited=True)


def read_authority_files(directory: Path) -> AuthorityFiles:
    """Read the four files of a user's own authority; raises `ConfigRejected` naming the first that cannot be read."""
    return AuthorityFiles(
        ca_cert=_content(directory / CERTIFICATE_FILE),
        ca_key=_content(directory / KEY_FILE),
        root_cert=_content(directory / ROOT_FILE),
        cert_chain=_content(directory / CHAIN_FILE) if (directory / CHAIN_FILE).exists() else b"",
    )


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigRejected(f"cannot read {file} of the plugged-in certificate authority: {error.strerror}") from None


def _read_authority(told: dict[str, Any]) -> StoredAuthority:
    return StoredAuthority(told["certificate"], told["key"], tuple(told["intermediates"]), tuple(told["roots"]))


def _written_issued(issued: Issued) -> dict[str, Any]:
    return {
        "serial": f"{issued.serial:x}",
        "identity": str(issued.identity),
        "workload": issued.workload,
        "not_before": issued.not_before.timestamp(),
        "not_after": issued.not_after.timestamp(),
        "signer": issued.signer,
    }


def _read_issued(told: dict[str, Any]) -> Issued:
    identity = names.parse_identity(told["identity"])
    assert identity is not None
    begin, end = _moment(told["not_before"]), _moment(told["not_after"])
    return Issued(int(told["serial"], 16), identity, told["workload"], begin, end, told["signer"])


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"


def _read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file, none where there is no file; cut off what a crash has left of the last one."""
    try:
        content = file.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(file, len(whole))
    except FileNotFoundError:
        return
    except OSError as error:
        raise Unavailable(f"cannot read {file} ({error})") from None
    for line in whole.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            raise Unavailable(f"{file} is damaged at the line {line[:80]!r}") from None


def _append(file: Path, line: str, *, is_awaited: bool) -> None:
    """Add a line, or nothing of it; `is_awaited` until it is on the disk."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "ab", buffering=0) as opened:
            _add_whole(opened.fileno(), line.encode())
            if is_awaited:
                os.fdatasync(opened.fileno())
    except OSError as error:
        raise Unavailable(f"cannot write {file}: {error.strerror}") from None


def _add_whole(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    try:
        if os.write(descriptor, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _replace(file: Path, text: str) -> None:
    beside = file.with_name(f".{file.name}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(text.encode())
            opened.flush()
            os.fsync(opened.fileno())
        beside.replace(file)
        _sync_directory(file.parent)
    except OSError as error:
        raise Unavailable(f"cannot write {file}: {error.strerror}") from None


def _sync_directory(directory: Path) -> None:
    """Make the new name as safe as the content."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
