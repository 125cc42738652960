"""Models by name, from a hub on this machine ($HF_ENDPOINT)."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

pytest.importorskip("helix_substrate._native", exc_type=ImportError)
pytest.importorskip("huggingface_hub")

import helix_substrate as helix
from helix_substrate import hub

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "tests" / "fixtures" / "tiny-llama"
NAME, COMMIT = "owner/tiny-llama", "0" * 39 + "1"


class Hub(http.server.BaseHTTPRequestHandler):
    """The two requests of a download: what a model holds, and one of its files."""

    protocol_version = "HTTP/1.1"
    requested: list[str]

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        path = unquote(self.path).partition("?")[0]
        self.requested.append(path)
        files = {file.name: file.read_bytes() for file in SOURCE.iterdir()}
        files["code.py"] = b"raise SystemExit"
        if path.startswith(f"/api/models/{NAME}/tree/"):
            listed = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(data),
                    "oid": hashlib.sha1(data).hexdigest(),
                }
                for name, data in files.items()
            ]
            return self._send(200, json.dumps(listed).encode(), with_body)
        if path.startswith(f"/api/models/{NAME}/revision/") and path.endswith(("/main", COMMIT)):
            info = {"id": NAME, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            return self._send(200, json.dumps(info).encode(), with_body)
        prefix = f"/{NAME}/resolve/{COMMIT}/"
        if path.startswith(prefix) and path.removeprefix(prefix) in files:
            return self._send(200, files[path.removeprefix(prefix)], with_body)
        fault = "RevisionNotFound" if f"/{NAME}/" in path else "RepoNotFound"
        return self._send(404, b"{}", with_body, {"X-Error-Code": fault})

    def _send(self, status: int, body: bytes, with_body: bool, more: dict | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        for name, value in (more or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    Hub.requested = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run_python(code: str, endpoint: str, home: Path) -> str:
    """huggingface_hub reads its settings when it is imported: so in a process of its own."""
    environment = {
        **{key: value for key, value in os.environ.items() if "proxy" not in key.lower()},
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0",
        "PYTHONPATH": str(ROOT / "python"),
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_compress_by_name_with_the_cache(endpoint: str, tmp_path: Path) -> None:
    compress = "import helix_substrate as h; h.compress({!r}, {!r}, revision={!r})"
    run_python(compress.format(NAME, "hxq", None), endpoint, tmp_path)
    assert helix.verify(tmp_path / "hxq", against=SOURCE).ok
    assert f"/{NAME}/resolve/{COMMIT}/model.safetensors" in Hub.requested
    assert not any(path.endswith(".py") for path in Hub.requested)
    Hub.requested.clear()
    run_python(compress.format(NAME, "again", COMMIT), endpoint, tmp_path)
    assert not any("safetensors" in path for path in Hub.requested)  # from the cache
    weights = [tmp_path / name / "model.safetensors" for name in ("hxq", "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_load_and_inspect_by_name(endpoint: str, tmp_path: Path) -> None:
    code = f"import helix_substrate as h; print(h.inspect({NAME!r}).key_count, h.load({NAME!r}))"
    out = run_python(code, endpoint, tmp_path)
    assert out.split()[0] == str(helix.inspect(SOURCE).key_count)
    assert "llama" in out


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("h.inspect('owner/no-such-model')", "NotFoundError"),
        (f"h.inspect({NAME!r}, revision='no-such-revision')", "NotFoundError"),
    ],
)
def test_what_the_hub_does_not_have(call: str, error: str, endpoint: str, tmp_path: Path) -> None:
    code = f"import helix_substrate as h\ntry: {call}\nexcept h.{error} as e: print('refused', e)"
    assert run_python(code, endpoint, tmp_path).startswith("refused owner/")


def test_a_hub_that_does_not_answer(tmp_path: Path) -> None:
    code = (
        f"import helix_substrate as h\ntry: h.inspect({NAME!r})\n"
        "except (h.IoError, h.NotFoundError) as e: print('refused', e)"
    )
    assert run_python(code, "http://127.0.0.1:9", tmp_path).startswith(f"refused {NAME}")


def test_a_folder_wins_and_paths_are_never_looked_up(tmp_path: Path) -> None:
    assert hub.local_folder(SOURCE) == SOURCE
    with pytest.raises(helix.InvalidArgumentError, match="revision"):
        hub.local_folder(SOURCE, revision="main")
    for missing in (tmp_path / "no" / "folder", "./owner/name", "/owner/name", "a/b/c", ""):
        with pytest.raises(helix.NotFoundError):
            hub.local_folder(missing)


def test_without_huggingface_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(helix.NotFoundError, match="huggingface_hub"):
        hub.local_folder("owner/name")
