"""Those who use a hub, without a browser: what they send is what a page would send."""

import json
import struct
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress

import requests
import websocket


def wait(true: Callable[[], object], seconds: float = 60, what: Callable[[], str] = lambda: "") -> object:
    """What ``true`` gives once it is true; a server that does not answer yet is not."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(requests.ConnectionError, requests.Timeout):
            if value := true():
                return value
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what()[-5000:]}")


class Reader:
    """A session of somebody who logs in with a password."""

    def __init__(self, hub: str, opened: ExitStack, name: str, password: str):
        self.hub, self.opened, self.name, self.password = hub, opened, name, password
        self.session, self.at = requests.Session(), f"{hub}/user/{name}"
        opened.callback(self.session.close)

    def login(self) -> int:
        """What the hub answers: 302 goes on, 403 is a refusal."""
        page = f"{self.hub}/hub/login"
        self.session.get(page)
        form = {"username": self.name, "password": self.password}
        form["_xsrf"] = self.session.cookies.get("_xsrf", path="/hub/")
        return self.session.post(page, data=form, allow_redirects=False).status_code

    def enter(self, seconds: float = 120) -> list[int]:
        """Log in and wait as a browser does, until JupyterLab is there; what the hub answered on the way."""
        assert self.login() == 302
        answers = []

        def there() -> bool:
            got = self.session.get(f"{self.hub}/hub/spawn")
            answers.append(got.status_code)
            there = got.url.startswith(f"{self.at}/lab")
            time.sleep(
                0 if there else 4 if got.status_code == 429 else 0.8
            )  # a page that starts listens, and asks less
            return there

        wait(there, seconds)
        return answers

    def ask(self, method: str, path: str, **more) -> requests.Response:
        """What this reader's server answers."""
        token = self.session.cookies.get("_xsrf", path=f"/user/{self.name}/")
        return self.session.request(method, f"{self.at}/api/{path}", headers={"X-XSRFToken": token}, **more)

    def files(self) -> dict[str, str | None]:
        """The files of this reader's folder, with the text of each."""
        names = [entry["name"] for entry in self.ask("GET", "contents").json()["content"]]
        return {name: self.ask("GET", f"contents/{name}", params={"type": "file"}).json()["content"] for name in names}

    def save(self, name: str, text: str) -> int:
        return self.ask("PUT", f"contents/{name}", json={"type": "file", "format": "text", "content": text}).status_code

    def stop(self) -> None:
        """Stop this reader's server, as the button in JupyterLab does."""
        token = self.session.cookies.get("_xsrf", path="/hub/")
        server = f"{self.hub}/hub/api/users/{self.name}/server"
        answer = self.session.delete(server, headers={"X-XSRFToken": token})
        assert answer.status_code in (202, 204), answer.text

    def kernel(self, number: str | None = None) -> "Kernel":
        """A new kernel, or one that is there."""
        return Kernel(self, number or self.ask("POST", "kernels", json={"name": "python3"}).json()["id"])


class Kernel:
    """A kernel and a connection to it, as a page has one that shows its notebook."""

    def __init__(self, reader: Reader, number: str):
        self.reader, self.number = reader, number
        mine = ("/", f"/user/{reader.name}/")
        cookie = "; ".join(f"{c.name}={c.value}" for c in reader.session.cookies if c.path in mine)
        url = f"{reader.at.replace('http', 'ws', 1)}/api/kernels/{number}/channels"
        self.socket = websocket.create_connection(url, cookie=cookie, timeout=60)
        reader.opened.callback(self.close)

    def close(self) -> None:
        self.socket.shutdown()

    def begin(self, code: str) -> str:
        """Ask for some code to be run, and give the question's number."""
        number = uuid.uuid4().hex
        header = {"msg_id": number, "username": "", "session": number, "msg_type": "execute_request", "version": "5.3"}
        content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
        message = {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "content": content}
        self.socket.send(json.dumps(message))
        return number

    def end(self, number: str, seconds: float = 60) -> str:
        """What a question printed, or the name of the error that it ended with."""
        text = ""
        self.socket.settimeout(seconds)
        while True:
            got = message(self.socket.recv())
            if got["parent_header"].get("msg_id") == number:
                text += got["content"].get("text", "") + got["content"].get("ename", "") * (got["msg_type"] == "error")
                if got["content"].get("execution_state") == "idle":
                    return text.strip()

    def run(self, code: str, seconds: float = 60) -> str:
        return self.end(self.begin(code), seconds)

    def again(self) -> "Kernel":
        """Another connection to the same kernel."""
        return Kernel(self.reader, self.number)


def message(frame: str | bytes) -> dict:
    """A message of a kernel; one with buffers begins with where its parts begin."""
    if isinstance(frame, bytes):
        begin, end = struct.unpack("!2I", frame[4:12])
        frame = frame[begin:end]
    return json.loads(frame)
