#!/usr/bin/env python3
"""Measures Keyward beside direct ssh and ProxyJump, in turns in one run, on loopback. Run it with `make bench`.

BENCH_QUICK=1 makes a short run whose figures only say that everything works. BENCH_ONLY=scan measures scans only, BENCH_ONLY=sessions
everything else. BENCH_TCP=reno measures in a network namespace of its own whose TCP has that congestion control, all legs alike (as root);
else it is the machine's. What each figure means and what was measured: docs/performance.md.
"""
import asyncio
import datetime
import fcntl
import json
import multiprocessing
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

QUICK = os.environ.get("BENCH_QUICK", "") not in ("", "0")
ONLY = os.environ.get("BENCH_ONLY", "")
TCP = os.environ.get("BENCH_TCP", "")
CONGESTION = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control")
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
CROWD = 24 if QUICK else 200
PARALLEL = 16
SCANS = 1 if QUICK else 2
SECONDS = 2 if QUICK else 10
# The far link: half of its round trip each way, and what is sent over it.
HALF_TRIP = 0.025
FAR_VOLUME = (16 if QUICK else 256) * MIB
FAR_ROUNDS = 1 if QUICK else 3
LEGS = ("direct", "ProxyJump", "Keyward")
GCM = "aes128-gcm@openssh.com"
# The key exchange that Keyward and OpenSSH before 10 have in common; OpenSSH among themselves take a heavier one.
LIGHT = "curve25519-sha256"
TICK = os.sysconf("SC_CLK_TCK")


def own_network():
    """Goes on in a network namespace that has only a loopback, with the congestion control of BENCH_TCP."""
    here = os.readlink("/proc/self/ns/net")
    outside = os.environ.setdefault("BENCH_OUTSIDE", here)
    if outside == here:
        if os.geteuid() != 0 or not shutil.which("unshare"):
            raise SystemExit("error: BENCH_TCP needs root and unshare of util-linux\nhint: sudo BENCH_TCP=reno make bench, or leave BENCH_TCP away")
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        # SIOCSIFFLAGS of netdevice(7): IFF_UP.
        fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1))
    try:
        CONGESTION.write_text(TCP)
    except OSError as error:
        allowed = pathlib.Path("/proc/sys/net/ipv4/tcp_allowed_congestion_control").read_text().split()
        raise SystemExit(f"error: BENCH_TCP={TCP}: {CONGESTION}: {error.strerror}\nhint: what can be written there in a namespace: {' or '.join(allowed)}")


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


def peak(pid):
    """The most KiB that were ever in memory."""
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def progress(text):
    print(f"  {text}", file=sys.stderr, flush=True)


async def far_link(listening, port):
    """Passes every connection on, each byte half a round trip after it came. Nothing else is changed: what is on the way is not bounded."""

    async def pass_on(reader, writer):
        loop, on_the_way = asyncio.get_running_loop(), asyncio.Queue()

        async def read():
            while data := await reader.read(1 << 20):
                on_the_way.put_nowait((loop.time() + HALF_TRIP, data))
            on_the_way.put_nowait((loop.time() + HALF_TRIP, b""))

        reading = asyncio.ensure_future(read())
        try:
            while True:
                due, data = await on_the_way.get()
                await asyncio.sleep(due - loop.time())
                if not data:
                    break
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            reading.cancel()
            writer.close()

    async def come(reader, writer):
        there = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer), return_exceptions=True)

    server = await asyncio.start_server(come, sock=listening, limit=1 << 22)
    await server.serve_forever()


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
        self.person()

    def settle(self):
        """Starts the hosts and the broker that sessions are measured with."""
        self.hosts = {"gcm": self.sshd("host-gcm", f"Ciphers {GCM}"), "default": self.sshd("host-default")}
        self.jump = self.sshd("jump")
        self.hosts["far"] = self.far(self.hosts["gcm"])
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

    def sshd_config(self, name, *more):
        """The file of an sshd's settings; `more` goes before them, for the first value counts."""
        lines = [
            *more, "ListenAddress 127.0.0.1", f"HostKey {self.folder}/sshd_key", "PidFile none",
            f"AuthorizedKeysFile {self.folder}/authorized_keys", "AuthenticationMethods publickey", "StrictModes no", "UsePAM no",
            "PermitRootLogin prohibit-password", "MaxStartups 2000:30:4000", "MaxSessions 1000", "LogLevel ERROR",
            # An empty home: what a shell reads at its start there would be measured on every leg.
            f"SetEnv HOME={self.folder}/empty",
        ]
        path = self.folder / f"{name}_config"
        path.write_text("\n".join(lines) + "\n")
        if subprocess.run([SSHD, "-t", "-f", path, "-o", "PerSourcePenalties=no"], capture_output=True).returncode == 0:
            path.write_text("\n".join([*lines, "PerSourcePenalties no"]) + "\n")
        return path

    def sshd(self, name, *more):
        path = self.sshd_config(name, *more)
        for _ in range(3):
            port = free_port()
            process = self.start(name, [SSHD, "-D", "-e", "-f", path, "-p", str(port)], stdout=subprocess.DEVNULL)
            time.sleep(0.3)
            if process.poll() is None:
                return {"port": port, "pid": process.pid}
        raise SystemExit(f"error: sshd does not start\n{(self.folder / f'{name}.log').read_text()}")

    def far(self, host):
        """The host once more, at the other end of a long link."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        port = listening.getsockname()[1]
        process = multiprocessing.get_context("fork").Process(
            target=lambda: asyncio.run(far_link(listening, host["port"])), name="far link", daemon=True)
        process.start()
        listening.close()
        return {"port": port, "pid": process.pid}

    def keyward(self, *words, home="home", **how):
        return self.call(BINARY, "--home", self.folder / home, *words, **how)

    def serve(self, home):
        """Starts a broker; its process id and port."""
        # A root key of its own, which goes when everything goes.
        config = self.folder / f"{home}.toml"
        config.write_text(f'[vault]\nroot_key = "{self.folder}/{home}.key"\n')
        words = [BINARY, "--home", self.folder / home, "serve", "--config", config, "--listen", "127.0.0.1:0"]
        process = self.start(f"broker-{home}", words, stdout=subprocess.PIPE, text=True)
        ready = process.stdout.readline()
        found = re.match(r"ready: ssh \S*:(\d+) ", ready)
        if not found:
            raise SystemExit(f"error: the broker is not ready: {ready}\n{(self.folder / f'broker-{home}.log').read_text()}")
        return process.pid, int(found[1])

    def person(self):
        """The environment of whoever runs the brokers."""
        home = self.folder / "me"
        (home / ".ssh").mkdir(parents=True, mode=0o700)
        shutil.copy(self.folder / "person.pub", home / ".ssh/id_ed25519.pub")
        for variable in ("SSH_AUTH_SOCK", "KEYWARD_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            os.environ.pop(variable, None)
        os.environ["HOME"] = str(home)

    def broker(self):
        self.broker_pid, self.broker_port = self.serve("home")
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
            "UserKnownHostsFile /dev/null", "LogLevel ERROR", "BatchMode yes", *([f"Ciphers {GCM}"] if cipher != "default" else []),
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

    def end(self, processes=None):
        ending = list(self.running if processes is None else processes)
        for process in reversed(ending):
            process.send_signal(signal.SIGTERM)
        for process in ending:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            self.running.remove(process)


class Crowd:
    """Many hosts, each an sshd with a port and a log of its own, and a broker that knows them all by one credential."""

    HOME = "home-of-the-crowd"

    def __init__(self, world):
        self.world, self.folder = world, world.folder / "crowd"
        self.folder.mkdir()
        (self.folder / "answers").mkdir()
        before = len(world.running)
        config = world.sshd_config("crowd", "LogLevel INFO")
        self.ports = [self.sshd(config, n) for n in range(CROWD)]
        self.broker_pid, _ = world.serve(self.HOME)
        self.processes = world.running[before:]
        self.keyward("credential", "add", "crowd", "--username", world.user, "--key", world.folder / "deploy", "--scope", "workspace")
        key = " ".join((world.folder / "sshd_key.pub").read_text().split()[:2])
        for n, port in enumerate(self.ports):
            self.keyward("host", "add", f"host-{n:03}", f"127.0.0.1:{port}", "--credential", "crowd", "--host-key", key)
        self.keyward("grant", "add", "--to", "*", "--hosts", "*", "--allow", "scan")
        self.script = self.questions()
        self.config = self.folder / "ssh_config"
        self.config.write_text("\n".join([
            "Host *", "HostName 127.0.0.1", "IdentitiesOnly yes", f"IdentityFile {world.folder}/deploy", "StrictHostKeyChecking no",
            "UserKnownHostsFile /dev/null", "LogLevel ERROR", "BatchMode yes",
            *(line for n, port in enumerate(self.ports) for line in (f"Host host-{n:03}", f"Port {port}")),
        ]) + "\n")

    def keyward(self, *words, **how):
        return self.world.keyward(*words, home=self.HOME, **how)

    def log(self, n):
        return self.folder / f"{n}.log"

    def sshd(self, config, n):
        for _ in range(5):
            port = free_port()
            process = self.world.start(f"crowd-{n}", [SSHD, "-D", "-f", config, "-E", self.log(n), "-p", str(port)], stdout=subprocess.DEVNULL)
            until = time.time() + 20
            while process.poll() is None and time.time() < until:
                if self.log(n).exists() and f" port {port}." in self.log(n).read_text():
                    return port
                time.sleep(0.002)
            self.world.end([process])
        raise SystemExit(f"error: sshd does not start\n{self.log(n).read_text()}")

    def questions(self):
        """The probes of a scan as one script, put together as src/probes/script.rs does it, whose beginning is taken from there."""
        probes = json.loads(self.keyward("--json", "scan", "run", "--hosts", "*", "--profile", "inventory", "--dry-run"))["probes"]
        source = (REPOSITORY / "src/probes/script.rs").read_text()
        head = re.search(r'const HEAD: &str = r#"(.*?)"#;', source, re.DOTALL)
        frame = re.search(r"const FRAME_MAX: usize = (\d+);", source)
        if not head or not frame:
            raise SystemExit("error: src/probes/script.rs is not what it was\nhint: make scripts/bench.py frame probes as it does")
        quote = lambda command: "'" + command.replace("'", r"'\''") + "'"
        lines = [f"p {n} {p['timeout_s']} {p['cap'] + int(frame[1])} {quote(p['command'])}\n" for n, p in enumerate(probes)]
        return "".join(["N=scn0123456789abcdef\n", head[1], *lines, "printf '\\n%s Z\\n' \"$N\"\nexit 0\n"]).encode()

    def sign_ins(self):
        return [sum(1 for line in self.log(n).read_text().splitlines() if line.startswith("Accepted ")) for n in range(CROWD)]

    def plain(self, *options):
        """The script over plain ssh with these options, so many at once; seconds."""
        def ask(n):
            answer = self.folder / "answers" / str(n)
            with answer.open("wb") as out:
                words = ["ssh", "-F", str(self.config), *options, f"host-{n:03}", "exec sh -s"]
                status = subprocess.run(words, input=self.script, stdout=out, stderr=subprocess.DEVNULL, timeout=300).returncode
            return status == 0 and answer.read_bytes().endswith(b"\nscn0123456789abcdef Z\n")

        start = time.perf_counter()
        with ThreadPoolExecutor(PARALLEL) as pool:
            answered = list(pool.map(ask, range(CROWD)))
        took = time.perf_counter() - start
        if not all(answered):
            raise SystemExit(f"error: {answered.count(False)} of {CROWD} hosts did not answer plain ssh to the end")
        return took

    def reports(self, *words):
        """Runs a verb that writes a report; its text."""
        words = [BINARY, "--home", str(self.world.folder / self.HOME), "scan", *words]
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=900)
        # 5: what a host has no tool for is missing in its facts.
        if done.returncode not in (0, 5):
            raise SystemExit(f"error: a scan ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def scan(self):
        """The same as a scan; seconds, the broker's processor seconds, its memory in KiB at the most while hosts were asked."""
        ended, seen = threading.Event(), []

        def watch():
            while not ended.wait(0.02):
                seen.append((time.time(), peak(self.broker_pid)))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            used, start = cpu(self.broker_pid), time.perf_counter()
            self.reports("run", "--hosts", "*", "--profile", "inventory", "--parallel", str(PARALLEL), "--quiet")
            took, used = time.perf_counter() - start, cpu(self.broker_pid) - used
        finally:
            ended.set()
            watching.join()
        newest = json.loads(self.keyward("--json", "scan", "list"))[0]
        until = datetime.datetime.fromisoformat(newest["ended_at"].replace("Z", "+00:00")).timestamp()
        return took, used, max(most for at, most in seen if at <= until)

    def leases(self):
        """Seconds of every lease by the audit log."""
        opened, lasted = {}, []
        for line in self.keyward("audit", "export", "--format", "jsonl").splitlines():
            entry = json.loads(line)
            if entry["event"] in ("lease.opened", "lease.ended"):
                at = datetime.datetime.fromisoformat(entry["at"].replace("Z", "+00:00")).timestamp()
                if entry["event"] == "lease.opened":
                    opened[entry["session"]] = at
                else:
                    lasted.append(at - opened.pop(entry["session"]))
        if opened:
            raise SystemExit(f"error: {len(opened)} leases have no end")
        return lasted


def measure_scan(world):
    """Seconds of plain ssh and of scans, in turns; the broker's processor seconds for each scan; its memory in KiB, before the first
    scan and at the most since then: while its hosts were asked, after all tables, after all reports as JSON; leases in seconds; what
    each host came to in each scan, and how often it was signed in to."""
    crowd = Crowd(world)
    try:
        crowd.plain()  # warms up
        legs = ("direct", LIGHT, "Keyward")
        times = {leg: [] for leg in legs}
        used, sign_ins, memory = [], [], [resident(crowd.broker_pid)]
        for n in range(SCANS):
            for leg in legs if n % 2 == 0 else reversed(legs):
                progress(f"{CROWD} hosts, {PARALLEL} at once: {leg}, {n + 1} of {SCANS}")
                if leg != "Keyward":
                    times[leg].append(crowd.plain(*(["-o", f"KexAlgorithms={LIGHT}"] if leg == LIGHT else [])))
                    continue
                already = crowd.sign_ins()
                took, processor, most = crowd.scan()
                times[leg].append(took)
                used.append(processor)
                memory += [most] if n == 0 else []
                sign_ins.append([new - old for new, old in zip(crowd.sign_ins(), already)])
        memory.append(peak(crowd.broker_pid))
        states = []
        for listed in json.loads(crowd.keyward("--json", "scan", "list")):
            hosts = json.loads(crowd.reports("show", listed["id"], "--format", "json"))["hosts"]
            states.append([(host["name"], host["state"], host["error"]) for host in hosts])
        memory.append(peak(crowd.broker_pid))
        return times, used, memory, crowd.leases(), states, sign_ins
    finally:
        world.end(crowd.processes)


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


def measure_volume(world, cipher, up, volume=VOLUME, rounds=ROUNDS):
    """MiB/s from the first byte on, and the processor seconds per GiB of the middle, and of all. What signing in costs is taken off the
    second. The `ssh -W` of ProxyJump is nobody's child whose time could be read, so that leg has no such sum."""
    rates = {leg: [] for leg in LEGS}
    costs = {"ProxyJump": [], "Keyward": []}
    sums = {"direct": [], "Keyward": []}
    host = world.hosts[cipher]["pid"]

    def ends():
        """Seconds of processor of the ssh clients that have ended, and of the host with what has ended there."""
        return sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) + settled(host)

    def signing_in(leg):
        used = []
        for _ in range(3):
            before = ends() + (cpu(world.broker_pid) if leg == "Keyward" else 0)
            subprocess.run(world.ssh(leg, "true", cipher=cipher), check=True, stdin=subprocess.DEVNULL, timeout=60)
            used.append(ends() + (cpu(world.broker_pid) if leg == "Keyward" else 0) - before)
        return statistics.median(used)

    signs_in = {leg: signing_in(leg) for leg in sums}
    command = f"date +%s.%N >&2; head -c {volume} {'>/dev/null' if up else '/dev/zero'}; date +%s.%N >&2"
    for _, leg in in_turns(rounds):
        middle = {"Keyward": (world.broker_pid, False), "ProxyJump": (world.jump["pid"], True)}.get(leg)
        used = settled(middle[0]) if middle and middle[1] else cpu(middle[0]) if middle else 0
        before = ends()
        source = open("/dev/zero", "rb") if up else subprocess.DEVNULL
        done = subprocess.run(
            world.ssh(leg, command, cipher=cipher), stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True, timeout=300)
        end = time.time()
        first, last = map(float, done.stderr.split()[-2:])
        rates[leg].append(volume / MIB / ((last if up else end) - first))
        around = ends() - before
        cost = 0
        if middle:
            time.sleep(0.1)
            after = settled(middle[0]) if middle[1] else cpu(middle[0])
            cost = after - used
            costs[leg].append(cost / (volume / (1024 * MIB)))
        if leg in sums:
            sums[leg].append((around + cost - signs_in[leg]) / (volume / (1024 * MIB)))
    return rates, costs, sums


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


def scans(row, world):
    progress(f"starting {CROWD} sshd and a broker")
    times, used, memory, leases, states, sign_ins = measure_scan(world)
    values = {leg: statistics.median(s) for leg, s in times.items()}
    both = {leg: values[leg] for leg in ("direct", "Keyward")}
    row(f"scan of {CROWD} hosts, {PARALLEL} at once", "s", both, "< 2.5 × direct", values["Keyward"] < 2.5 * values["direct"])
    values = {"direct": values[LIGHT], "Keyward": values["Keyward"]}
    row(f"the same with {LIGHT} for plain ssh, too", "s", values, "< 2.5 × direct", values["Keyward"] < 2.5 * values["direct"])
    row("processor of the broker for each host", "ms", {"Keyward": statistics.median(used) / CROWD * 1000})
    for name, most in zip(("while hosts are asked", "with the table at the end", "with the whole report as JSON"), memory[1:]):
        values = {"before": memory[0] / 1024, "after": most / 1024}
        row(f"resident memory before, and at the most {name}", "MiB", values, "< 200", most < 200 * 1024)
    row("longest lease", "s", {"Keyward": max(leases)}, "< 2", max(leases) < 2)
    row("lease, p50", "s", {"Keyward": statistics.median(leases)})
    names = [len({name for name, _, _ in scan}) for scan in states]
    row("hosts with a row of their own", "", {"Keyward": min(names)}, f"{CROWD}", names == [CROWD] * SCANS and all(len(s) == CROWD for s in states))
    done = [sum(1 for _, state, _ in scan if state == "done") for scan in states]
    row("hosts that were answered in full", "", {"Keyward": min(done)})
    for error in sorted({f"{state}: {why}" for scan in states for _, state, why in scan if state != "done"}):
        progress(error)
    each = {count for scan in sign_ins for count in scan}
    row("sign-ins at a host in one scan, most", "", {"Keyward": max(each)}, "1 at each", each == {1})
    row("leases for each host and scan", "", {"Keyward": len(leases) / CROWD / SCANS}, "1", len(leases) == CROWD * SCANS)


def sessions(row, compare, world):
    progress("starting three sshd and a broker")
    world.settle()
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
    compare("echo round trip, p50", "µs", measure_echo(world), "≤ direct + 150", lambda v: v["Keyward"] <= v["direct"] + 150)
    for cipher in ("gcm", "default"):
        for up in (False, True):
            way, label = ("upload" if up else "download"), (GCM.split("@")[0] if cipher == "gcm" else "default cipher")
            progress(f"{way} of {VOLUME // MIB} MiB, {label}, {ROUNDS} times each")
            rates, costs, sums = measure_volume(world, cipher, up)
            goal, most = cipher == "gcm", 0.6 if up else 0.42
            compare(
                f"{way}, {label}", "MiB/s", rates, "≥ 1.0 × direct, ≥ 2.3 × ProxyJump" if goal else "",
                (lambda v: v["Keyward"] >= v["direct"] and v["Keyward"] >= 2.3 * v["ProxyJump"]) if goal else None)
            compare(
                f"{way}, processor of the middle", "s/GiB", costs, f"≤ {most}" if goal else "",
                (lambda v, most=most: v["Keyward"] <= most) if goal else None)
            compare(f"{way}, processor of all three", "s/GiB", sums)
    for up in (False, True):
        way = "upload" if up else "download"
        progress(f"{way} of {FAR_VOLUME // MIB} MiB over 50 ms, {FAR_ROUNDS} times each")
        rates, *_ = measure_volume(world, "far", up, FAR_VOLUME, FAR_ROUNDS)
        compare(
            f"{way}, the host 50 ms away", "MiB/s", rates, "" if up else "≥ 3 × direct",
            None if up else (lambda v: v["Keyward"] >= 3 * v["direct"]))
    progress(f"approvals, {APPROVALS} of them")
    decided, whole = measure_approval(world)
    middle = statistics.median(decided)
    row("from an approval to the first byte of output, p50", "ms", {"Keyward": middle}, "≤ 15", middle <= 15)
    row("the same with the person's ssh that approves, p50", "ms", {"Keyward": statistics.median(whole)})
    progress(f"new sessions, {CLIENTS} clients, {SECONDS} s each")
    rates, cost = measure_rate(world)
    row(f"new sessions, {CLIENTS} clients", "1/s", rates)
    row("processor of the broker for each", "ms", {"Keyward": cost})


def main():
    for program in (BINARY, SSHD):
        if not os.access(program, os.X_OK):
            raise SystemExit(f"error: {program} is not there\nhint: make bench")
    if TCP:
        own_network()
    rows = []

    def row(name, unit, values, target="", met=None):
        rows.append({"name": name, "unit": unit, "values": values, "target": target, "met": met})

    def compare(name, unit, samples, target="", meets=None, pick=statistics.median):
        values = {leg: pick(s) for leg, s in samples.items()}
        row(name, unit, values, target, meets(values) if meets else None)

    folder = pathlib.Path(tempfile.mkdtemp(prefix="keyward-bench-"))
    world = None
    try:
        load = os.getloadavg()[0]
        world = World(folder)
        if ONLY != "sessions":
            scans(row, world)
        if ONLY != "scan":
            sessions(row, compare, world)
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
    show(rows, load)
    out = REPOSITORY / "target/bench.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    print(f"\nalso in {out.relative_to(REPOSITORY)}")


def show(rows, load):
    number = lambda x: str(x) if isinstance(x, int) else f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}"
    ratio = lambda v, of: f"{v['Keyward'] / v[of]:.2f}" if v.get(of) and "Keyward" in v else ""
    version = subprocess.run(["ssh", "-V"], capture_output=True, text=True).stderr.split(",")[0]
    keyward = subprocess.run([BINARY, "--version"], capture_output=True, text=True).stdout.strip()
    print(f"{keyward}; {version}; {os.cpu_count()} processors, {platform.system()} {platform.release()}, {platform.machine()}, "
          f"loopback, TCP {CONGESTION.read_text().strip()}; load before: {load:.1f}")
    if QUICK:
        print("a quick run: it shows that everything works; the figures say little")
    print()
    table = [("", "", *LEGS, "÷ direct", "÷ ProxyJump", "target", "")]
    for r in rows:
        values = r["values"]
        met = {True: "met", False: "MISSED", None: ""}[None if QUICK else r["met"]]
        if "before" in values:
            table.append((r["name"], r["unit"], "", "", f"{number(values['before'])} → {number(values['after'])}", "", "", r["target"], met))
            continue
        shown = [number(values[leg]) if leg in values else "" for leg in LEGS]
        table.append((r["name"], r["unit"], *shown, ratio(values, "direct"), ratio(values, "ProxyJump"), r["target"], met))
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    for line in table:
        print("  ".join(cell.ljust(w) if i in (0, 1, 7, 8) else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths))).rstrip())


if __name__ == "__main__":
    main()
