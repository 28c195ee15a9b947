#!/usr/bin/env python3
"""Measures Keyward beside direct ssh and ProxyJump, in turns in one run, on loopback. Run it with `make bench`.

BENCH_QUICK=1 makes a short run whose figures only say that everything works. What each figure means and what was measured:
docs/performance.md.
"""
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

QUICK = os.environ.get("BENCH_QUICK", "") not in ("", "0")
REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("KEYWARD", str(REPOSITORY / "target/release/keyward"))
SSHD = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin") or "sshd"

MIB = 1 << 20
VOLUME = (64 if QUICK else 1024) * MIB
ROUNDS = 1 if QUICK else 5
CONNECTS = 5 if QUICK else 40
ECHOES = 100 if QUICK else 1000
HELD = 20 if QUICK else 200
APPROVALS = 5 if QUICK else 50
CLIENTS = 8
SECONDS = 2 if QUICK else 10
LEGS = ("direct", "ProxyJump", "Keyward")
GCM = "aes128-gcm@openssh.com"
TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stat(pid):
    """The fields of /proc/PID/stat from the third on."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def cpu(pid, children=False):
    """Seconds of processor that the process has used; with `children`, those of its ended children too."""
    fields = stat(pid)
    return sum(map(int, fields[11:15] if children else fields[11:13])) / TICK


def resident(pid):
    """KiB in memory."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def progress(text):
    print(f"  {text}", file=sys.stderr, flush=True)


class World:
    """Two hosts, a jump host and a broker, each a process of its own, in one temporary folder."""

    def __init__(self, folder):
        self.folder = folder
        self.running = []
        self.user = subprocess.check_output(["id", "-un"], text=True).strip()
        for name in ("sshd_key", "person", "deploy", "agent"):
            self.call("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name)
        keys = (folder / "person.pub").read_text() + (folder / "deploy.pub").read_text()
        (folder / "authorized_keys").write_text(keys)
        (folder / "authorized_keys").chmod(0o600)
        if os.getuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.hosts = {"gcm": self.sshd("host-gcm", f"Ciphers {GCM}"), "default": self.sshd("host-default")}
        self.jump = self.sshd("jump")
        self.broker_pid = None
        self.broker()
        self.configs = {cipher: self.config(cipher) for cipher in self.hosts}

    def call(self, *words, **how):
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, stdin=subprocess.DEVNULL, **how)
        if done.returncode:
            raise SystemExit(f"error: {' '.join(map(str, words))}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self, name, words, **how):
        log = open(self.folder / f"{name}.log", "wb")
        process = subprocess.Popen([str(w) for w in words], stdin=subprocess.DEVNULL, stderr=log, **how)
        self.running.append(process)
        return process

    def sshd(self, name, *more):
        lines = [
            "ListenAddress 127.0.0.1", f"HostKey {self.folder}/sshd_key", f"PidFile {self.folder}/{name}.pid",
            f"AuthorizedKeysFile {self.folder}/authorized_keys", "AuthenticationMethods publickey", "StrictModes no", "UsePAM no",
            "PermitRootLogin prohibit-password", "MaxStartups 2000:30:4000", "MaxSessions 1000", "LogLevel ERROR",
            # An empty home: what a shell reads at its start there would be measured on every leg.
            f"SetEnv HOME={self.folder}/empty", *more,
        ]
        path = self.folder / f"{name}_config"
        path.write_text("\n".join(lines) + "\n")
        if subprocess.run([SSHD, "-t", "-f", path, "-o", "PerSourcePenalties=no"], capture_output=True).returncode == 0:
            path.write_text("\n".join([*lines, "PerSourcePenalties no"]) + "\n")
        for _ in range(3):
            port = free_port()
            process = self.start(name, [SSHD, "-D", "-e", "-f", path, "-p", str(port)], stdout=subprocess.DEVNULL)
            time.sleep(0.3)
            if process.poll() is None:
                return {"port": port, "pid": process.pid}
        raise SystemExit(f"error: sshd does not start\n{(self.folder / f'{name}.log').read_text()}")

    def keyward(self, *words):
        return self.call(BINARY, "--home", self.folder / "home", *words)

    def broker(self):
        home = self.folder / "me"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        shutil.copy(self.folder / "person.pub", home / ".ssh/id_ed25519.pub")
        for variable in ("SSH_AUTH_SOCK", "KEYWARD_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            os.environ.pop(variable, None)
        os.environ["HOME"] = str(home)
        words = [BINARY, "--home", self.folder / "home", "serve", "--listen", "127.0.0.1:0"]
        process = self.start("broker", words, stdout=subprocess.PIPE, text=True)
        ready = process.stdout.readline()
        found = re.match(r"ready: ssh \S*:(\d+) ", ready)
        if not found:
            raise SystemExit(f"error: the broker is not ready: {ready}\n{(self.folder / 'broker.log').read_text()}")
        self.broker_pid, self.broker_port = process.pid, int(found[1])
        self.keyward("credential", "add", "deploy", "--username", self.user, "--key", self.folder / "deploy", "--scope", "workspace")
        fingerprint = self.call("ssh-keygen", "-lf", self.folder / "sshd_key.pub").split()[1]
        for name, host in self.hosts.items():
            self.keyward("host", "add", name, f"127.0.0.1:{host['port']}")
            self.keyward("host", "trust", name, "--fingerprint", fingerprint)
            self.keyward("credential", "attach", "deploy", "--host", name)
        self.keyward("grant", "add", "--to", "*", "--hosts", "*", "--allow", "shell,exec,sftp,propose")

    def config(self, cipher):
        lines = [
            "Host *", "HostName 127.0.0.1", "IdentitiesOnly yes", f"IdentityFile {self.folder}/person", "StrictHostKeyChecking no",
            "UserKnownHostsFile /dev/null", "LogLevel ERROR", "BatchMode yes", *([f"Ciphers {GCM}"] if cipher == "gcm" else []),
            "Host direct", f"Port {self.hosts[cipher]['port']}",
            "Host jump", f"Port {self.jump['port']}",
            "Host ProxyJump", f"Port {self.hosts[cipher]['port']}", "ProxyJump jump",
            "Host Keyward", f"Port {self.broker_port}", f"User {cipher}",
        ]
        path = self.folder / f"ssh_{cipher}"
        path.write_text("\n".join(lines) + "\n")
        return path

    def ssh(self, leg, *words, cipher="gcm"):
        return ["ssh", "-F", str(self.configs[cipher]), leg, *words]

    def end(self):
        for process in reversed(self.running):
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def in_turns(rounds):
    """Each leg once a round, beginning with another one each time."""
    for n in range(rounds):
        for i in range(len(LEGS)):
            yield n, LEGS[(n + i) % len(LEGS)]


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def measure_connect(world):
    times = {leg: [] for leg in LEGS}
    for n, leg in in_turns(CONNECTS + 2):
        start = time.perf_counter()
        subprocess.run(world.ssh(leg, "true"), check=True, stdin=subprocess.DEVNULL, timeout=60)
        if n >= 2:  # the first ones warm up
            times[leg].append((time.perf_counter() - start) * 1000)
    return times


def settled(pid):
    """Processor time of the jump host, once its children for a connection have ended."""
    before = cpu(pid, True)
    while True:
        time.sleep(0.1)
        now = cpu(pid, True)
        if now == before:
            return now
        before = now


def measure_volume(world, cipher, up):
    """MiB/s from the first byte on, and the middle's processor seconds per GiB."""
    rates = {leg: [] for leg in LEGS}
    costs = {"ProxyJump": [], "Keyward": []}
    command = f"date +%s.%N >&2; head -c {VOLUME} {'>/dev/null' if up else '/dev/zero'}; date +%s.%N >&2"
    for _, leg in in_turns(ROUNDS):
        middle = {"Keyward": (world.broker_pid, False), "ProxyJump": (world.jump["pid"], True)}.get(leg)
        used = settled(middle[0]) if middle and middle[1] else cpu(middle[0]) if middle else 0
        source = open("/dev/zero", "rb") if up else subprocess.DEVNULL
        done = subprocess.run(
            world.ssh(leg, command, cipher=cipher), stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True, timeout=300)
        end = time.time()
        first, last = map(float, done.stderr.split()[-2:])
        rates[leg].append(VOLUME / MIB / ((last if up else end) - first))
        if middle:
            time.sleep(0.1)
            after = settled(middle[0]) if middle[1] else cpu(middle[0])
            costs[leg].append((after - used) / (VOLUME / (1024 * MIB)))
    return rates, costs


def measure_echo(world):
    times = {leg: [] for leg in LEGS}
    open_ = {leg: subprocess.Popen(world.ssh(leg, "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) for leg in LEGS}
    for process in open_.values():
        process.stdin.write(b"x")
        process.stdout.read(1)
    for _, leg in in_turns(ECHOES):
        process = open_[leg]
        start = time.perf_counter()
        process.stdin.write(b"x")
        process.stdout.read(1)
        times[leg].append((time.perf_counter() - start) * 1e6)
    for process in open_.values():
        process.stdin.close()
        process.wait(20)
    return times


def measure_approval(world):
    """Milliseconds from a person's decision to the first byte of the command's output at the agent's ssh: from the moment that the
    broker has noted for the decision, and from the start of the person's own ssh, which runs over a connection that stands."""
    world.keyward("agent", "add", "bench-agent", "--key", world.folder / "agent.pub", "--per-minute", "600")
    to = ["-F", str(world.configs["gcm"]), "-p", str(world.broker_port), "-o", "ControlPath=" + str(world.folder / "ctl")]
    held = subprocess.Popen(["ssh", "-N", "-M", *to, f"{world.user}@127.0.0.1"], stdin=subprocess.DEVNULL)
    person = subprocess.Popen(world.ssh("Keyward", "-N"), stdin=subprocess.DEVNULL)
    verb = lambda *words: subprocess.run(["ssh", *to, f"{world.user}@127.0.0.1", *words], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60).stdout
    decided, whole = [], []
    # A configuration of its own: the person's key must not be offered for the agent.
    config = world.folder / "ssh_agent"
    config.write_text(world.configs["gcm"].read_text().replace(f"IdentityFile {world.folder}/person", f"IdentityFile {world.folder}/agent"))
    agent = ["ssh", "-n", "-F", str(config), "Keyward", "echo x"]
    try:
        while not (world.folder / "ctl").exists() or not json.loads(verb("session", "list", "--live", "--json")):
            time.sleep(0.05)
        for n in range(APPROVALS + 2):
            process = subprocess.Popen(agent, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
            waiting = []
            while not waiting:
                waiting = json.loads(verb("proposal", "list", "--pending", "--json"))
            start = time.time()
            approving = subprocess.Popen(
                ["ssh", *to, f"{world.user}@127.0.0.1", "proposal", "approve", waiting[0]["id"], "--digest", waiting[0]["digest"]],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if process.stdout.read(1) != b"x":
                raise SystemExit("error: an approved command wrote nothing")
            end = time.time()
            approving.wait(60)
            process.wait(60)
            at = json.loads(verb("proposal", "show", waiting[0]["id"], "--json"))["decided_at"]
            at = datetime.datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
            if n >= 2:  # the first ones warm up
                decided.append((end - at) * 1000)
                whole.append((end - start) * 1000)
    finally:
        for process in (held, person):
            process.terminate()
            process.wait(20)
    return decided, whole


def hold(world):
    """Opens sessions that do nothing."""
    held = []
    for n in range(0, HELD, CLIENTS):
        some = [
            subprocess.Popen(world.ssh("Keyward", "cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
            for _ in range(min(CLIENTS, HELD - n))
        ]
        for process in some:
            process.stdin.write(b"x")
            if process.stdout.read(1) != b"x":
                raise SystemExit(f"error: session {len(held)} of {HELD} was not held")
        held += some
    return held


def measure_idle(world):
    """KiB per held session, the same when it happens again, percent of one processor while all are idle, KiB before and after."""
    for _ in range(5):
        subprocess.run(world.ssh("Keyward", "true"), check=True, stdin=subprocess.DEVNULL, timeout=60)
    time.sleep(1)
    before, each = resident(world.broker_pid), []
    for _ in range(2):
        held = hold(world)
        time.sleep(2)
        each.append((resident(world.broker_pid) - before) / len(held))
        used, start = cpu(world.broker_pid), time.time()
        time.sleep(3 if QUICK else 10)
        idle = (cpu(world.broker_pid) - used) / (time.time() - start) * 100
        for process in held:
            process.stdin.close()
        for process in held:
            process.wait(60)
        time.sleep(1)
    return *each, idle, before, resident(world.broker_pid)


def measure_rate(world):
    """New sessions a second with eight clients, and the broker's processor milliseconds for each."""
    rates, cost = {}, 0.0
    for leg in LEGS:
        count, failed = [0] * CLIENTS, []
        until = time.time() + SECONDS

        def client(n):
            while time.time() < until:
                if subprocess.run(world.ssh(leg, "true"), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60).returncode:
                    failed.append(leg)
                else:
                    count[n] += 1

        used, start = cpu(world.broker_pid), time.time()
        threads = [threading.Thread(target=client, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise SystemExit(f"error: {len(failed)} of {sum(count) + len(failed)} sessions failed over {leg}")
        rates[leg] = sum(count) / (time.time() - start)
        if leg == "Keyward":
            cost = (cpu(world.broker_pid) - used) / sum(count) * 1000
    return rates, cost


def main():
    for program in (BINARY, SSHD):
        if not os.access(program, os.X_OK):
            raise SystemExit(f"error: {program} is not there\nhint: make bench")
    rows = []

    def row(name, unit, values, target="", met=None):
        rows.append({"name": name, "unit": unit, "values": values, "target": target, "met": met})

    def compare(name, unit, samples, target="", meets=None, pick=statistics.median):
        values = {leg: pick(s) for leg, s in samples.items()}
        row(name, unit, values, target, meets(values) if meets else None)

    folder = pathlib.Path(tempfile.mkdtemp(prefix="keyward-bench-"))
    world = None
    try:
        progress("starting three sshd and a broker")
        world = World(folder)
        progress(f"{HELD} idle sessions")
        each, again, idle, before, after = measure_idle(world)
        row(f"resident memory per idle session, {HELD} held", "KiB", {"Keyward": each}, "< 300", each < 300)
        row("the same when they are held a second time", "KiB", {"Keyward": again}, "< 300", again < 300)
        row("resident memory before and after them", "MiB", {"before": before / 1024, "after": after / 1024})
        row("processor while they are idle", "%", {"Keyward": idle})
        progress(f"connect, {CONNECTS} times each")
        connect = measure_connect(world)
        compare("connect, p50", "ms", connect, "≤ 2 × direct", lambda v: v["Keyward"] <= 2 * v["direct"])
        compare("connect, p95", "ms", connect, pick=lambda s: percentile(s, 0.95))
        progress(f"echo, {ECHOES} times each")
        compare("echo round trip, p50", "µs", measure_echo(world))
        for cipher in ("gcm", "default"):
            for up in (False, True):
                way, label = ("upload" if up else "download"), (GCM.split("@")[0] if cipher == "gcm" else "default cipher")
                progress(f"{way} of {VOLUME // MIB} MiB, {label}, {ROUNDS} times each")
                rates, costs = measure_volume(world, cipher, up)
                goal = cipher == "gcm"
                compare(
                    f"{way}, {label}", "MiB/s", rates, "≥ 0.95 × direct, ≥ 2 × ProxyJump" if goal else "",
                    (lambda v: v["Keyward"] >= 0.95 * v["direct"] and v["Keyward"] >= 2 * v["ProxyJump"]) if goal else None)
                compare(
                    f"{way}, processor of the middle", "s/GiB", costs, "≤ 0.5" if goal else "",
                    (lambda v: v["Keyward"] <= 0.5) if goal else None)
        progress(f"approvals, {APPROVALS} of them")
        decided, whole = measure_approval(world)
        middle = statistics.median(decided)
        row("from an approval to the first byte of output, p50", "ms", {"Keyward": middle}, "≤ 15", middle <= 15)
        row("the same with the person's ssh that approves, p50", "ms", {"Keyward": statistics.median(whole)})
        progress(f"new sessions, {CLIENTS} clients, {SECONDS} s each")
        rates, cost = measure_rate(world)
        row(f"new sessions, {CLIENTS} clients", "1/s", rates)
        row("processor of the broker for each", "ms", {"Keyward": cost})
    except BaseException:
        for log in sorted(folder.glob("*.log")):
            text = log.read_text(errors="replace")[-2000:]
            if text:
                print(f"--- {log.name}\n{text}", file=sys.stderr)
        raise
    finally:
        if world:
            world.end()
        shutil.rmtree(folder, ignore_errors=True)
    show(rows)
    out = REPOSITORY / "target/bench.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    print(f"\nalso in {out.relative_to(REPOSITORY)}")


def show(rows):
    number = lambda x: f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"
    ratio = lambda v, of: f"{v['Keyward'] / v[of]:.2f}" if v.get(of) and "Keyward" in v else ""
    version = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.split(",")[0]
    keyward = subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.strip()
    print(f"{keyward}; {version}; {os.cpu_count()} processors, {platform.system()} {platform.release()}, {platform.machine()}, loopback")
    if QUICK:
        print("a quick run: it shows that everything works; the figures say little")
    print()
    table = [("", "", *LEGS, "÷ direct", "÷ ProxyJump", "target", "")]
    for r in rows:
        values = r["values"]
        if "before" in values:
            table.append((r["name"], r["unit"], "", "", f"{number(values['before'])} → {number(values['after'])}", "", "", "", ""))
            continue
        shown = [number(values[leg]) if leg in values else "" for leg in LEGS]
        met = {True: "met", False: "MISSED", None: ""}[None if QUICK else r["met"]]
        table.append((r["name"], r["unit"], *shown, ratio(values, "direct"), ratio(values, "ProxyJump"), r["target"], met))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(w) if i in (0, 1, 7, 8) else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))).rstrip())


if __name__ == "__main__":
    main()
