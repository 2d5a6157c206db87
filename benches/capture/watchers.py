"""The programs that are compared: how each is started, told to end, and asked what it saw."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILT = ROOT / "target/x86_64-unknown-linux-musl/release"


def numbers(text, pattern):
    """The different numbers that the pattern's group finds."""
    return {int(found) for found in re.findall(pattern, text, re.MULTILINE)}


class Watcher:
    """A program that watches execs. `settle`: seconds until it does, for those that do not say so."""

    name, command, settle, says, end = "", [], 0.5, None, signal.SIGINT
    #: Kernel threads that work for it alone.
    helpers = []

    def __init__(self, folder, program):
        self.folder, self.program = Path(folder), program

    def missing(self):
        """Why it cannot be run, or None."""
        tool = self.arguments()[0]
        return None if shutil.which(tool) else f"{tool} is not installed"

    def arguments(self):
        return self.command

    def output(self):
        return self.folder / "output"

    def start(self):
        with open(self.output(), "wb") as output:
            # In a session of its own, as a service.
            self.process = subprocess.Popen(self.arguments(), stdout=output, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL, start_new_session=True)
        until = time.monotonic() + (20 if self.says else self.settle)
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended: {self.text()[-300:].strip()}")
            if self.says and self.says in self.text():
                return
            time.sleep(0.02)
        if self.says:
            raise RuntimeError(f"{self.name} was not ready: {self.text()[-300:].strip()}")

    def text(self):
        return self.output().read_text(errors="replace")

    def cpu(self):
        """CPU time of all its threads and helpers so far, in nanoseconds."""
        total = 0
        for pid in [self.process.pid, *self.helpers]:
            for task in Path(f"/proc/{pid}/task").iterdir():
                total += int((task / "schedstat").read_text().split()[0])
        return total

    def memory(self):
        """Its highest resident memory, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return re.search(r"VmHWM:\s+(\d+)", status)[1] + " KiB"

    def stop(self):
        self.process.send_signal(self.end)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def captured(self):
        """The storm's numbers that were seen as an argument."""
        return len(numbers(self.text(), rf"(?:^|\s){re.escape(self.program)} (\d+)\s*$"))


class Peewit(Watcher):
    """peewit as it runs on a device: its figures are taken from this one."""

    name, says, end = "peewit", "watches", signal.SIGTERM
    #: A pack instead of its own, or None.
    rules = None

    def missing(self):
        return None if (BUILT / "peewit").exists() else "targets/build was not run"

    def arguments(self):
        # Nothing of a sensor that runs here otherwise.
        own = [f"--{what}={self.folder / what}" for what in ("alerts", "state", "socket")]
        return [BUILT / "peewit", "run", *own, *(["--rules", self.rules] if self.rules else [])]

    def memory(self):
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        rss, anonymous = (re.search(what + r":\s+(\d+)", rollup)[1] for what in ("Rss", "Anonymous"))
        return f"{super().memory()} (now Rss {rss}, anonymous {anonymous})"

    def captured(self):
        return None


class PeewitEvents(Peewit):
    """peewit with `--events`: from its file the captures are counted."""

    name = "peewit --events"

    def arguments(self):
        return [*super().arguments(), "--events", self.folder / "events"]

    def captured(self):
        events = (self.folder / "events").read_text(errors="replace")
        lines = (line for line in events.splitlines() if '"exec"' in line and '"process.executable"' in line)
        return len(numbers("\n".join(lines), rf'"process\.args":\["{re.escape(self.program)}","(\d+)"\]'))


class PeewitPerf(PeewitEvents):
    """The same from the kernel's tracepoints."""

    name = "peewit --source perf"

    def arguments(self):
        return [*super().arguments(), "--source", "perf"]


class PeewitFanotify(PeewitEvents):
    """The same where a kernel has neither."""

    name = "peewit --source fanotify"

    def arguments(self):
        return [*super().arguments(), "--source", "fanotify"]


class Reference(Watcher):
    name, says, end = "reference reader", "ready", signal.SIGTERM

    def missing(self):
        return None if shutil.which("cc") else "a C compiler is not installed"

    def arguments(self):
        binary = ROOT / "target/capture-reference"
        source = Path(__file__).with_name("reference.c")
        if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-static", "-pthread", source, "-o", binary], check=True)
        return [binary, self.program]

    def captured(self):
        return int(re.search(r"captured (\d+)", self.text())[1])


class Forkstat(Watcher):
    name, command = "forkstat", ["forkstat", "-e", "exec"]


class ForkstatRealtime(Watcher):
    name, command = "forkstat -r", ["forkstat", "-r", "-e", "exec"]


class Extrace(Watcher):
    name, command = "extrace", ["extrace", "-f"]


class Execsnoop(Watcher):
    """Of libbpf-tools; that of bpfcc-tools would have to compile with the kernel's headers."""

    name, command, settle = "execsnoop", ["stdbuf", "-oL", "execsnoop"], 3

    def missing(self):
        return None if shutil.which("execsnoop") else "execsnoop (libbpf-tools) is not installed"

    def start(self):
        mount_tracefs()
        super().start()


class Bpftrace(Watcher):
    name, settle = "bpftrace", 4
    command = ["bpftrace", "-e", "tracepoint:syscalls:sys_enter_execve { join(args->argv); }"]

    def start(self):
        mount_tracefs()
        super().start()


class Auditd(Watcher):
    """auditd with a folder and settings of its own, and the one rule; kauditd's time is counted too."""

    name, settle, end = "auditd", 1.5, signal.SIGTERM
    rule = ["-a", "always,exit", "-F", "arch=b64", "-S", "execve"]

    def arguments(self):
        return ["auditd", "-n", "-c", self.folder]

    def start(self):
        log = self.folder / "audit.log"
        settings = {"log_file": log, "log_format": "RAW", "log_group": "root", "flush": "INCREMENTAL_ASYNC", "freq": 50,
                    "max_log_file": 100, "max_log_file_action": "IGNORE", "space_left": 75, "space_left_action": "IGNORE",
                    "admin_space_left": 50, "admin_space_left_action": "IGNORE", "disk_full_action": "IGNORE",
                    "disk_error_action": "IGNORE", "priority_boost": 4, "write_logs": "yes", "name_format": "NONE"}
        self.folder.chmod(0o700)
        (self.folder / "auditd.conf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        (self.folder / "auditd.conf").chmod(0o640)
        (self.folder / "plugins.d").mkdir(exist_ok=True)
        super().start()
        for command in (["-D"], ["-b", "8192"], ["-e", "1"], self.rule):
            subprocess.run(["auditctl", *command], check=True, capture_output=True)
        self.helpers = [int(pid) for pid in subprocess.run(["pgrep", "-x", "kauditd"], capture_output=True, text=True).stdout.split()]

    def stop(self):
        for command in (["-D"], ["-e", "0"]):
            subprocess.run(["auditctl", *command], capture_output=True)
        super().stop()

    def captured(self):
        log = (self.folder / "audit.log").read_text(errors="replace")
        return len(numbers(log, rf'type=EXECVE .* a0="{re.escape(self.program)}" a1="(\d+)"'))


def mount_tracefs():
    """BPF programs find tracepoints there."""
    if not os.path.isdir("/sys/kernel/tracing/events"):
        subprocess.run(["mount", "-t", "tracefs", "tracefs", "/sys/kernel/tracing"], check=True)


ALL = [PeewitEvents, PeewitPerf, PeewitFanotify, Peewit, Reference, Forkstat, ForkstatRealtime, Extrace, Execsnoop, Bpftrace, Auditd]
