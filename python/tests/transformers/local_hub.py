"""A Hugging Face hub of one process: what huggingface_hub needs to upload and to load a model."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LocalHub(ThreadingHTTPServer):
    """`files` maps "user/name" to {path: bytes}; `objects` holds large files by SHA-256."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.objects: dict[str, bytes] = {}
        self.calls: list[str] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LocalHub

    def log_message(self, *_: object) -> None:
        return

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def answer(self, status: int, content: bytes | dict = b"", **headers: str) -> None:
        is_json = isinstance(content, dict)
        data = json.dumps(content).encode() if is_json else content
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json" if is_json else "text/plain")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.calls.append(f"{self.command} {path}")
        parts = path.split("/")
        if path == "api/whoami-v2":
            self.answer(200, {"name": "me", "type": "user", "orgs": [], "auth": {}})
        elif parts[:2] == ["api", "models"]:
            self.describe("/".join(parts[2:4]))
        elif len(parts) > 4 and parts[2] == "resolve":
            self.send_file("/".join(parts[:2]), "/".join(parts[4:]))
        else:
            self.answer(404, {"error": "not found"}, X_Error_Code="RepoNotFound")

    def describe(self, name: str) -> None:
        if name not in self.server.files:
            self.answer(404, {"error": "no repository"}, X_Error_Code="RepoNotFound")
            return
        files = [{"rfilename": path} for path in self.server.files[name]]
        facts = {"_id": "1", "id": name, "modelId": name, "sha": COMMIT, "siblings": files}
        self.answer(200, {**facts, "private": False, "tags": [], "downloads": 0, "likes": 0})

    def send_file(self, name: str, path: str) -> None:
        files = self.server.files.get(name)
        if files is None or path not in files:
            code = "RepoNotFound" if files is None else "EntryNotFound"
            self.answer(404, {"error": code}, X_Error_Code=code, X_Repo_Commit=COMMIT)
            return
        tag = f'"{hashlib.sha256(files[path]).hexdigest()}"'
        self.answer(200, files[path], ETag=tag, X_Repo_Commit=COMMIT, Accept_Ranges="none")

    def do_PUT(self) -> None:
        self.server.calls.append(f"PUT {self.path}")
        data = self.body()
        self.server.objects[hashlib.sha256(data).hexdigest()] = data
        self.answer(200, ETag='"1"')

    def do_POST(self) -> None:
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.calls.append(f"POST {path}")
        data = self.body()
        parts = path.split("/")
        if path == "api/repos/create":
            asked = json.loads(data)
            name = f"{asked.get('organization') or 'me'}/{asked['name']}"
            self.server.files.setdefault(name, {})
            self.answer(200, {"url": f"{self.server.endpoint}/{name}", "name": name, "id": "1"})
        elif path == "api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif "preupload" in parts:
            modes = [
                {"path": f["path"], "uploadMode": mode_of(f["path"]), "shouldIgnore": False}
                for f in json.loads(data)["files"]
            ]
            self.answer(200, {"files": modes, "commitOid": COMMIT})
        elif path.endswith("info/lfs/objects/batch"):
            self.answer(200, {"transfer": "basic", "objects": self.upload_places(json.loads(data))})
        elif "commit" in parts:
            self.commit("/".join(parts[2:4]), data)
        else:
            self.answer(404, {"error": f"no such call: {path}"})

    def upload_places(self, asked: dict) -> list[dict]:
        def place(entry: dict) -> dict:
            link = {"href": f"{self.server.endpoint}/store/{entry['oid']}", "header": {}}
            return {**entry, "actions": {"upload": link}}

        return [place(entry) for entry in asked["objects"]]

    def commit(self, name: str, data: bytes) -> None:
        files = self.server.files[name]
        for line in data.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = self.server.objects[value["oid"]]
        url = f"{self.server.endpoint}/{name}/commit/{COMMIT}"
        self.answer(200, {"commitUrl": url, "commitOid": COMMIT, "success": True})


def mode_of(path: str) -> str:
    return "lfs" if path.endswith(".safetensors") else "regular"
