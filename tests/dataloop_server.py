"""A test server that speaks as the Dataloop platform does to `dtlpy`: real HTTP, on 127.0.0.1, and strict.

    with DataloopServer() as server:
        item_id = server.add_item(clip.path, width=320, height=240, fps=25, frame_count=50)
        os.environ["DATALOOP_URL"], os.environ["DATALOOP_TOKEN"] = server.url, server.new_token()
        ...
        server.annotations(item_id)                      # what is stored on it
        server.requests                                  # all that came: method, path, body, bytes, status
        server.inject(LoseReply(), "POST", "/annotations$")     # see dataloop_faults.py
        server.max_body_bytes = 100_000                  # 413 above
        server.cascade = True                            # children go with their parent
        server.expire_tokens()                           # what was given out so far is refused

It comes with a project, a dataset, a recipe and an ontology. As a process of its own, for who has no account; it says
on stderr what to type next, and prints a line of JSON on stdout:

    python tests/dataloop_server.py --port 0 clip.mp4 photo.jpg

What it cannot know of the real platform it decides so that a client's mistake shows; `strict=False` stores anything.
"""

import argparse
import json
import re
import secrets
import signal
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import jwt
from dataloop_faults import Fault, Faults
from dataloop_http import BASE, Connection, Http, Request
from dataloop_routes import Answer
from dataloop_store import Store

__all__ = ["EMAIL", "PASSWORD", "DataloopServer", "Request"]

Json = dict[str, Any]

EMAIL, PASSWORD = "robot@example.com", "robots-password"
"""A service account."""


class DataloopServer:
    """The server, in threads of its own until it is closed.

    Args:
        port: To listen on; 0 for any that is free.
        strict: Refuse what no viewer could show as it was meant.
        keep_bodies: In `requests`; without, a long run takes less memory.
    """

    def __init__(self, port: int = 0, *, strict: bool = True, keep_bodies: bool = True) -> None:
        self.http = Http(("127.0.0.1", port), Connection)
        self.http.owner = self
        self.port = self.http.server_address[1]
        self.gate_url = f"http://127.0.0.1:{self.port}"
        self.url = self.gate_url + BASE
        self.store = Store(self.url, strict=strict)
        self.faults = Faults()
        self.requests: list[Request] = []
        self.max_body_bytes: int | None = None
        self.keep_bodies = keep_bodies
        self.closing = threading.Event()
        self._key = secrets.token_hex(32)
        self._generation = 0
        """Tokens of earlier ones are refused."""
        self._refresh_token = secrets.token_hex(16)
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.05,), name="dataloop-server")
        self._make_project()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections, and the threads."""
        self.closing.set()
        self.http.shutdown()
        self.http.cut()
        self.http.server_close()
        self._thread.join()

    def _make_project(self) -> None:
        add = self.store.add
        self.project_id = str(add("projects", {"name": "people", "role": "owner", "org": {"id": "org"}})["id"])
        self.ontology_id = str(
            add("ontologies", {"title": "people", "roots": [], "metadata": {}, "projectIds": [self.project_id]})["id"]
        )
        recipe = {
            "title": "people", "projectIds": [self.project_id], "ontologyIds": [self.ontology_id],
            "uiSettings": {}, "metadata": {"system": {"collectionTemplates": []}},
        }  # fmt: skip
        self.recipe_id = str(add("recipes", recipe)["id"])
        self.dataset_id = self.add_dataset("street")

    # To seed it

    def add_dataset(self, name: str) -> str:
        """Make a dataset with the recipe; gives its id."""
        dataset = {
            "name": name, "projects": [self.project_id], "metadata": {"system": {"recipes": [self.recipe_id]}},
            "itemsCount": 0, "annotationsCount": 0,
        }  # fmt: skip
        return str(self.store.add("datasets", dataset)["id"])

    def add_item(self, path: Path, dataset_id: str | None = None, **facts: Any) -> str:
        """Make an item of a file, as `Store.add_item` does; gives its id."""
        return str(self.store.add_item(path, dataset_id or self.dataset_id, **facts)["id"])

    def annotations(self, item_id: str) -> list[Json]:
        """Give what is stored on an item, in the order it came."""
        return self.store.annotations(item_id)

    @property
    def cascade(self) -> bool:
        """Whether children go with their parent."""
        return self.store.cascade

    @cascade.setter
    def cascade(self, value: bool) -> None:
        self.store.cascade = value

    # Logins

    def new_token(self, valid_seconds: float = 86_400.0, **claims: Any) -> str:
        """Make a token as a login would."""
        payload = {"email": EMAIL, "exp": time.time() + valid_seconds, "generation": self._generation, **claims}
        return jwt.encode(payload, self._key, algorithm="HS256")

    @property
    def refresh_token(self) -> str:
        """What a token can be renewed with."""
        return self._refresh_token

    def expire_tokens(self) -> None:
        """Refuse all tokens that were given out."""
        self._generation += 1

    def knows(self, authorization: str) -> bool:
        """Tell whether a header carries a token of this server that has not expired."""
        try:
            claims = jwt.decode(authorization.removeprefix("Bearer "), self._key, algorithms=["HS256"])
        except jwt.PyJWTError:
            return False
        return bool(claims.get("generation") == self._generation)

    def log_in(self, body: Any) -> Answer:
        """Answer `POST /token`."""
        match body:
            case {"type": "user_credentials", "username": name, "password": word} if (name, word) == (EMAIL, PASSWORD):
                return Answer(200, {"id_token": self.new_token(), "refresh_token": self._refresh_token})
            case {"type": "refresh_token", "refresh_token": token} if token == self._refresh_token:
                return Answer(200, {"id_token": self.new_token()})
        return Answer(401, {"message": "wrong credentials"})

    # To look at it and to break it

    def inject(self, fault: Fault, method: str | None = None, path: str = "", **how: Any) -> None:
        """Let something go wrong.

        Args:
            fault: What.
            method: Of the requests it concerns; None for every one.
            path: Regular expression that is looked for in their paths.
            how: `times`: how many of them (1; None for all), `skip`: how many to let pass before, `contains`: a text
                that must be in their bodies, `encoding`: how their bodies must be compressed (`gzip`).
        """
        self.faults.plan(fault, method, path, **how)

    def count(self, method: str, path: str = "") -> int:
        """Tell how many such requests came; `path` is a regular expression."""
        return sum(request.method == method and bool(re.search(path, request.path)) for request in self.requests)

    def bodies(self, method: str, path: str = "") -> list[Any]:
        """Give the bodies of such requests, in order."""
        return [request.body for request in self.requests if request.method == method and re.search(path, request.path)]


_NEXT = """\
Copy into another terminal; the login lasts a day, and Ctrl-C here forgets everything:

  export DATALOOP_URL={url} DATALOOP_TOKEN={token} KINESTREAM_STATE=$(mktemp -d)
  kinestream dataloop setup --dataset {dataset_id}
  kinestream dataloop annotate --dataset {dataset_id}
  kinestream dataloop show {item} --out shown.jpg

"""


def _facts(path: Path) -> Json:
    """Say of a video or picture what the platform would find out, as its header has it; of another file, nothing."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            facts = {"width": stream.width, "height": stream.height}
            if stream.codec.name in {"mjpeg", "png"}:
                return facts
            return facts | {"fps": float(stream.average_rate or 0), "frame_count": stream.frames or None}
    except (av.FFmpegError, IndexError):
        return {}


def _main() -> None:
    parser = argparse.ArgumentParser(description="A test server that speaks as the Dataloop platform does.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("files", type=Path, nargs="*", help="become items")
    arguments = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with DataloopServer(arguments.port, keep_bodies=False) as server:
        items = [server.add_item(path, **_facts(path)) for path in arguments.files]
        start = {"url": server.url, "token": server.new_token(), "dataset_id": server.dataset_id, "items": items}
        sys.stderr.write(_NEXT.format(**start, item=[*items, "ITEM"][0]))
        sys.stdout.write(json.dumps(start) + "\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    _main()
