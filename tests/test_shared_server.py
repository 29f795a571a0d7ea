"""A server for several people, set up by the very words of docs/mlflow.md, behind TLS."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tracked import QUICK, Line, free_port, wait_for

PAGE = (Path(__file__).parents[1] / "docs" / "mlflow.md").read_text()
NAME = "mlflow.example.org"
PASSWORD = "a long word, 17 of them"
NGINX = shutil.which("nginx")


def block(language, word):
    """The block of the page that holds a word."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (one,) = [text for text in found if word in text]
    return one


def changed(text, changes):
    for old, new in changes.items():
        assert old in text, f"the page no longer says {old}"
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    """MLflow's server, started by the page's commands: its port on 127.0.0.1 and its folder."""
    folder, port = tmp_path_factory.mktemp("shared"), free_port()
    (folder / "secret").write_text("0123456789abcdef")
    settings = {"postgresql://mlflow@/mlflow_auth": f"sqlite:///{folder}/auth.db"}
    ini = changed(block("ini", "admin_password"), settings | {"CHANGE-ME": PASSWORD})
    (folder / "auth.ini").write_text(ini)
    places = {
        "pip install 'mlflow[auth]' psycopg2-binary\n": "",
        "/etc/mlflow": str(folder),
        "5000": str(port),
        "postgresql://mlflow@/mlflow": f"sqlite:///{folder}/mlflow.db",
        "/srv/mlflow/artifacts": str(folder / "artifacts"),
        "mlflow server": f"exec {sys.executable} -m mlflow server",
    }
    script = changed(block("sh", "basic-auth"), places)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(
            ["sh", "-c", script], stdout=log, stderr=log, start_new_session=True, cwd=folder
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health")
        yield port, folder
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of the server's name and its key: two files."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    (folder / "mlflow.pem").write_bytes(signed.public_bytes(pem))
    (folder / "mlflow.key").write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
    return folder / "mlflow.pem", folder / "mlflow.key"


class Front(Line):
    """The end of TLS: what is said to it is handed on in plain words."""

    def __init__(self, port, certificate):
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.load_cert_chain(*certificate)
        super().__init__(port)

    def heard(self, caller):
        return self.context.wrap_socket(caller, server_side=True)


class Exchange(Line):
    """A proxy of the client's that knows one name: whoever asks for it is put through."""

    def heard(self, caller):
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += caller.recv(4096)
        assert asked.startswith(f"CONNECT {NAME}:443 ".encode())
        caller.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        return caller


@contextmanager
def nginx(port, certificate, folder):
    """The page's own block for nginx."""
    own = free_port()
    places = {
        "443": f"127.0.0.1:{own}",
        "/etc/ssl/mlflow.pem": str(certificate[0]),
        "/etc/ssl/mlflow.key": str(certificate[1]),
        "5000": str(port),
    }
    server = changed(block("nginx", "proxy_pass"), places)
    (folder / "nginx.conf").write_text(
        # As root, so that bodies may be kept in this folder, which is nobody else's.
        f"user root; daemon off; error_log {folder}/error; pid {folder}/pid;\n"
        f"events {{}}\nhttp {{ access_log off; client_body_temp_path {folder}/body;\n{server} }}\n"
    )
    running = subprocess.Popen([NGINX, "-c", str(folder / "nginx.conf")])
    try:
        yield own
    finally:
        running.terminate()
        running.wait(20)


@contextmanager
def own_front(port, certificate, folder):
    front = Front(port, certificate)
    try:
        yield front.port
    finally:
        front.close()


@pytest.fixture(
    params=[
        own_front,
        pytest.param(
            nginx,
            marks=pytest.mark.skipif(NGINX is None, reason="no nginx: the page's block is not run"),
        ),
    ],
    ids=["python", "nginx"],
)
def environment(request, behind, certificate, tmp_path):
    """The variables of somebody who reaches the server by its name, through TLS."""
    with request.param(behind[0], certificate, tmp_path) as port:
        exchange = Exchange(port)
        yield {
            "MLFLOW_TRACKING_URI": f"https://{NAME}",
            "MLFLOW_TRACKING_SERVER_CERT_PATH": str(certificate[0]),
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": PASSWORD,
            "HTTPS_PROXY": exchange.address,
        }
        exchange.close()


def test_a_study_reaches_the_server_and_leaves_no_password(environment, behind, tmp_path):
    (tmp_path / "shared.yaml").write_text(yaml.safe_dump(QUICK | {"study": "shared"}))
    command = [sys.executable, "-m", "autoreg", "run", "shared.yaml", "--json", "--workers", "1"]
    done = subprocess.run(
        [*command, "--home", str(tmp_path / "home")],
        cwd=tmp_path, env=os.environ | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1])["exit_code"] == 0
    found = asked(behind[0], "runs/search", {"experiment_ids": ["1"]}, "admin", PASSWORD)
    assert len([one for one in found["runs"] if tag(one, "autoreg.role") == "trial"]) > 1
    unfinished = [one for one in found["runs"] if one["info"]["status"] != "FINISHED"]
    assert unfinished == [], done.stderr
    written = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert written
    for path in written:
        assert PASSWORD.encode() not in path.read_bytes(), path
    assert PASSWORD not in done.stdout + done.stderr


def tag(run, key):
    return {one["key"]: one["value"] for one in run["data"]["tags"]}.get(key)


def asked(port, what, words, user=None, password="", host=NAME):
    place = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/2.0/mlflow/{what}",
        data=json.dumps(words).encode(),
        headers={"Content-Type": "application/json", "Host": host},
    )
    if user:
        code = base64.b64encode(f"{user}:{password}".encode()).decode()
        place.add_header("Authorization", f"Basic {code}")
    with urllib.request.urlopen(place, timeout=30) as answer:
        return json.loads(answer.read())


def refused(*words, **more):
    with pytest.raises(urllib.error.HTTPError) as caught:
        asked(*words, **more)
    caught.value.close()
    return caught.value.code


def test_strangers_readers_and_other_names_are_kept_out(behind):
    port, _ = behind
    search = ("experiments/search", {"max_results": 5})
    assert refused(port, *search) == 401
    assert refused(port, *search, "admin", "password1234") == 401  # MLflow's default
    assert refused(port, *search, "admin", PASSWORD, host="evil.example") == 403
    assert asked(port, *search, "admin", PASSWORD)["experiments"]
    reader = {"username": "reader", "password": "another long word"}
    asked(port, "users/create", reader, "admin", PASSWORD)
    as_reader = ("reader", "another long word")
    asked(port, *search, *as_reader)
    run = {"experiment_id": "0", "start_time": 0}
    assert refused(port, "runs/create", run, *as_reader) == 403


def test_the_server_listens_on_this_machine_only(behind):
    """All of 127.0.0.0/8 is this machine, but a server of all addresses would answer there, too."""
    with socket.create_connection(("127.0.0.1", behind[0]), timeout=5):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", behind[0]), timeout=5)
