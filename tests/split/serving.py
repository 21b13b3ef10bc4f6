"""A server in a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self


class ServerProcess:
    """``fmapzip serve`` on a port of its own; ``address`` is where.

    Parameters
    ----------
    folder, arguments
        Of the command.
    insecure
        Whether it is told to serve without TLS.
    within
        What stands before the command, to run it somewhere else.
    program
        What Python runs.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str | Path,
        insecure: bool = True,
        within: Sequence[str] = (),
        program: Sequence[str] = ("-m", "fmapzip"),
    ) -> None:
        command = [*within, sys.executable, *program, "serve", folder, "--torch-threads", "1"]
        command += ["--insecure"] if insecure else []
        command += [] if "--port" in arguments else ["--port", "0"]
        self.process = subprocess.Popen(
            [*map(str, command), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self.metrics = ""
        self.address = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if "metrics on" in line:
                self.metrics = line.split()[-1]
            found = re.match(r"split \w+ on (\S+), batches", line)
            if found:
                self.address = found[1]
                self.batches = line.rpartition("batches of ")[2].strip()
                break
        assert self.address, self.process.communicate()
        self._log = threading.Thread(target=self._read_log, daemon=True)
        self._log.start()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        self.lines.extend(self.process.stderr)

    def hang_up(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it gracefully, and give its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(60)
        self._log.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code

    def rss(self) -> int:
        """Bytes of memory that it holds."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", text)
        assert found is not None
        return int(found[1]) * 1024

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
