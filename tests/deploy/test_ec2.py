"""deploy/ec2 against a host: this machine, over ssh, with Docker, Caddy and a registry."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from tests.containers.conftest import docker

ROOT = Path(__file__).parents[2]
CLOUD_INIT = ROOT / "deploy/ec2/cloud-init.yaml"
IMAGE = "localhost:5000/flight-prophet"
FLIGHT = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Host:
    """A machine as deploy/ec2/cloud-init.yaml leaves it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self.switch = folder / "flight-prophet"
        self.switch.mkdir()
        [written] = [
            file["content"]
            for file in yaml.safe_load(CLOUD_INIT.read_text())["write_files"]
            if file["path"] == "/etc/caddy/Caddyfile"
        ]
        caddyfile = folder / "Caddyfile"
        caddyfile.write_text(
            written.replace(":80 {", f"{self.url} {{").replace(
                "/etc/caddy/flight-prophet", str(self.switch)
            )
        )
        ssh_port = free_port()
        for name in ("host_key", "user_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name],
                check=True,
            )
        shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
        kept = {"DOCKER_HOST", "PATH"} & os.environ.keys()
        variables = {name: os.environ[name] for name in kept}
        variables["SWITCH"] = str(self.switch)
        pairs = " ".join(f'"{name}={value}"' for name, value in variables.items())
        (folder / "sshd_config").write_text(
            f"Port {ssh_port}\nListenAddress 127.0.0.1\nHostKey {folder}/host_key\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\n"
            f"PidFile none\nSetEnv {pairs}\n"
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        self.options = (
            f"-p {ssh_port} -i {folder}/user_key -o StrictHostKeyChecking=no "
            f"-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        )
        sshd = shutil.which("sshd") or "/usr/sbin/sshd"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.processes = [
            subprocess.Popen([sshd, "-D", "-f", folder / "sshd_config"], **quiet),
            subprocess.Popen(
                ["caddy", "run", "--config", caddyfile, "--adapter", "caddyfile"],
                env=os.environ | {"HOME": str(folder)},
                **quiet,
            ),
        ]
        for port in (ssh_port, 2019):
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "deploy/ec2" / script, "127.0.0.1", *arguments],
            env=os.environ | {"IMAGE": IMAGE, "SSH_OPTIONS": self.options},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def deploy(self, tag: str) -> subprocess.CompletedProcess[str]:
        return self.run("deploy.sh", tag)

    def version(self) -> str:
        """What answers, as the label of its image; it must answer rightly, too."""
        answer = httpx.post(f"{self.url}/predict", json={"flights": [FLIGHT]})
        assert answer.json() == {"predict": [1]}
        port = 8002 if (self.switch / "8002").exists() else 8001
        [name] = docker(
            "ps", "--filter", f"label=port={port}", "--format", "{{.Image}}"
        ).splitlines()
        return name.rpartition(":")[2]

    def tell(self) -> None:
        """Tell the server of flights, from where no key is needed."""
        program = (
            "import urllib.request as r; r.urlopen(r.Request("
            "'http://127.0.0.1:8000/flights', b'{}', {'content-type': 'application/json'}))"
        )
        docker("exec", "flight-prophet", "python", "-c", program)

    def heard(self) -> str | None:
        """When the server was last told of flights."""
        return httpx.get(f"{self.url}/flights").raise_for_status().json()["heard"]

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait()
        for name in ("", "-previous", "-candidate"):
            docker("rm", "--force", f"flight-prophet{name}", check=False)
        docker("volume", "rm", "flight-prophet-live", check=False)


def publish(tag: str, *lines: str) -> None:
    """Push the image under test, with some lines of a Dockerfile more."""
    image = os.environ["CONTAINER_IMAGE"]
    subprocess.run(
        ["docker", "build", "-q", "-t", f"{IMAGE}:{tag}", "-"],
        input="\n".join([f"FROM {image}", f"ENV TAG={tag}", *lines]),
        text=True,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    docker("push", f"{IMAGE}:{tag}")
    docker("rmi", f"{IMAGE}:{tag}")


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    publish("1.0.0")
    publish("1.1.0")
    publish("1.2.0-broken", "ENV MODEL_FILEPATH=/opt/venv/pyvenv.cfg")
    host = Host(tmp_path_factory.mktemp("host"))
    yield host
    host.close()


# The tests are one story, told in this order.


def test_rollback_needs_a_previous_version(host):
    run = host.run("rollback.sh")
    assert run.returncode == 1
    assert run.stderr == "error: no version ran before this one\n"


def test_a_first_version_serves(host):
    run = host.deploy("1.0.0")
    assert (run.returncode, run.stdout) == (0, f"{IMAGE}:1.0.0 serves\n"), run.stderr
    assert host.version() == "1.0.0"


def test_the_next_version_takes_over_without_a_lost_request(host):
    assert host.heard() is None
    host.tell()
    failed: list[str] = []
    answered = 0
    done = threading.Event()

    def ask() -> None:
        nonlocal answered
        with httpx.Client() as client:
            while not done.is_set():
                try:
                    answer = client.post(
                        f"{host.url}/predict", json={"flights": [FLIGHT]}
                    )
                    assert answer.json() == {"predict": [1]}
                    answered += 1
                except Exception as error:
                    failed.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    run = host.deploy("1.1.0")
    time.sleep(0.5)
    done.set()
    for thread in threads:
        thread.join()
    assert run.returncode == 0, run.stderr
    assert host.version() == "1.1.0"
    assert answered > 100
    assert not failed
    assert host.heard() is not None


def test_a_version_that_does_not_exist_changes_nothing(host):
    run = host.deploy("9.9.9")
    assert run.returncode == 1
    assert f"error: {IMAGE}:9.9.9 cannot be pulled; nothing changed" in run.stderr
    assert host.version() == "1.1.0"


def test_a_version_whose_model_cannot_be_read_changes_nothing(host):
    run = host.deploy("1.2.0-broken")
    assert run.returncode == 1
    assert "is not a flight-prophet model" in run.stderr
    assert "does not answer; nothing changed" in run.stderr
    assert host.version() == "1.1.0"
    assert "candidate" not in docker("ps", "--all", "--format", "{{.Names}}")


def test_a_port_that_is_taken_changes_nothing(host):
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 8001))
        other.listen()
        run = host.deploy("1.0.0")
    assert run.returncode == 1
    assert "does not start; nothing changed" in run.stderr
    assert host.version() == "1.1.0"


def test_a_full_disk_changes_nothing(host):
    # On the second port runs 1.1.0, so the next turn would be to the first.
    assert host.run("rollback.sh").returncode == 0
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "none", host.switch], check=True
    )
    try:
        run = host.deploy("1.1.0")
        assert run.returncode == 1
        assert "cannot be written; nothing changed" in run.stderr
        assert host.version() == "1.0.0"
    finally:
        subprocess.run(["umount", host.switch], check=True)
    assert host.run("rollback.sh").returncode == 0
    assert host.version() == "1.1.0"


def test_the_previous_version_comes_back(host):
    run = host.run("rollback.sh")
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"{IMAGE}:1.0.0 serves again\n"
    assert host.version() == "1.0.0"
    assert (
        docker(
            "inspect",
            "--format",
            "{{.HostConfig.RestartPolicy.Name}}",
            "flight-prophet",
        )
        == "unless-stopped"
    )
