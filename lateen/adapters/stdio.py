"""Writes log entries and metrics as lines, on the standard output or into files."""

import asyncio
import json
import logging
import logging.handlers
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from lateen.adapters import shown
from lateen.api.mixer.reports import Level, LogStream, StdioParams
from lateen.mixer.ports import MadeInstance

_ORDER: Final = (Level.INFO, Level.WARNING, Level.ERROR)
_NAMES: Final = {Level.INFO: "info", Level.WARNING: "warn", Level.ERROR: "error"}
_MEGABYTE: Final = 1024 * 1024


class Stdio:
    """A handler of the adapter stdio."""

    def __init__(self, params: StdioParams) -> None:
        self._params = params
        self._output = _output(params)

    async def report(self, instances: Sequence[MadeInstance]) -> None:
        """Write a line for each instance that is important enough."""
        lines = [
            self._line(instance, level, fields)
            for instance in instances
            for level, fields in self._said(instance)
            if _ORDER.index(level) >= _ORDER.index(self._params.output_level)
        ]
        if lines:
            await asyncio.to_thread(self._write, lines)

    async def close(self) -> None:
        """Close the file."""
        self._output.close()

    def _said(self, instance: MadeInstance) -> Iterator[tuple[Level, Mapping[str, object]]]:
        fields = instance.fields
        if instance.template == "metric":
            dimensions = {name: shown.plain(value) for name, value in shown.entries(fields.get("dimensions")).items()}
            yield self._params.metric_level, {"value": shown.plain(fields.get("value")), **dimensions}
        else:
            severity = str(fields.get("severity", ""))
            variables = {name: shown.plain(value) for name, value in shown.entries(fields.get("variables")).items()}
            yield self._params.severity_levels.get(severity, Level.INFO), variables

    def _line(self, instance: MadeInstance, level: Level, fields: Mapping[str, object]) -> str:
        time = shown.plain(instance.fields.get("timestamp")) or shown.plain(datetime.now(UTC))
        said = {"level": _NAMES[level], "time": time, "instance": instance.name, **fields}
        if self._params.output_as_json:
            return json.dumps(said)
        return "\t".join((str(time), _NAMES[level], instance.name, json.dumps(dict(fields))))

    def _write(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._output.emit(logging.makeLogRecord({"msg": line}))


def _output(params: StdioParams) -> logging.Handler:
    """Open where lines go; a rotated file begins anew when it is full."""
    match params.log_stream:
        case LogStream.STDOUT:
            return logging.StreamHandler(sys.stdout)
        case LogStream.STDERR:
            return logging.StreamHandler(sys.stderr)
        case LogStream.FILE:
            return logging.FileHandler(params.output_path)
        case LogStream.ROTATED_FILE:
            return logging.handlers.RotatingFileHandler(
                params.output_path,
                maxBytes=params.max_megabytes_before_rotation * _MEGABYTE,
                backupCount=params.max_rotated_files,
            )
