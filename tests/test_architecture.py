"""The rules of the house, read off the source text: nothing of the project but its registry is imported.

A guard takes one file and yields complaints, `path:line: what is wrong; what to do`. The tables below feed each guard
bad snippets, so a guard that went blind fails too.
"""

import ast
import graphlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path, PurePosixPath

import pytest

from pipeline.registry import PLUGINS

ROOT = Path(__file__).resolve().parents[1]

PACKAGES = ("pipeline", "trackers", "stages", "training")
"""Each may import itself and those to its left."""

PIPELINE_MAY_IMPORT = sys.stdlib_module_names | {"numpy", "pydantic", "rich", "typer", "yaml", "pipeline"}
TRACKERS_MAY_IMPORT = sys.stdlib_module_names | {"munkres", "numpy", "pydantic", "scipy", "trackers"}
TRACKERS_MAY_IMPORT |= {f"pipeline.{module}" for module in ("errors", "plugin", "skeletons", "types")}

LAYERS = (
    {"backoff", "errors", "plugin", "secrets", "skeletons", "types"},
    {"channel", "stage", "telemetry", "worker"},
    {"config", "registry"},
    {"graph"},
    {"loops"},
    {"inputs"},
    {"runner"},
    {"report"},
    {"cli"},
)
"""Modules of `pipeline`: each may import its own layer and those above this line."""

SWALLOWING_ALLOWED = {
    "pipeline/loops/live.py::_one_connection": "why a connection was lost: its state says it; tried again",
    "pipeline/loops/source.py::_open_and_read": "becomes the cause of the source's failure; the other sources go on",
    "pipeline/loops/stage.py::_process": "the culprit is counted by name; three in a row are a StageError",
    "pipeline/loops/stage.py::_one_by_one": "the same, for each packet of a batch that failed",
    "pipeline/loops/sink.py::_write": "the culprit is counted by name; three in a row are a SinkError",
    "stages/dataloop/annotating/annotate.py::_one": "becomes the result of an item; the other items go on",
    "stages/dataloop/annotating/distribution.py::_write": "handed over to who waits for the item; others go on",
    "stages/dataloop/standing.py::_serve": "handed over to those who wait for items",
    "stages/dataloop/delivery/upload.py::_serve": "handed over to the one who waits for the upload",
    "stages/mqtt/threads.py::_run": "handed over to the one who waits for the call",
    "stages/publishing/broadcast.py::_run": "raised by the next call of the sink",
    "pipeline/worker.py::run": "handed over to the one who waits for the call",
}
"""`path::function` -> why it may catch every exception and not raise again."""

ASYNCIO_ALLOWED = {
    "stages.dataloop": "on Dataloop's own machines a run goes on in a thread of its own",
    "stages.dataloop.annotating": "drives a run itself: items come and go in it, and parts of the chain are its own",
    "stages.mqtt": "aiomqtt is asynchronous: it has an event loop in a thread of its own, which nobody outside sees",
}
"""Room of `stages` -> why it may know asyncio although it holds no verb."""

DTLPY_ALLOWED = {
    "stages/dataloop/adapter.py": "what the platform itself runs must be one of dtlpy's classes",
    "stages/dataloop/connection/client.py": "takes its client, and makes it send each request once",
    "stages/dataloop/connection/login.py": "stores a login where dtlpy looks for it",
}
"""Path -> why it may import dtlpy."""

EMPTY_NAMES = {"core", "handler", "handlers", "helper", "helpers", "manager", "misc", "util", "utils"}


def registered(*roles: str) -> set[str]:
    return {entry.partition(":")[0] for role in roles for entry in PLUGINS[role].values()}


VERBS = registered("stage")
COMMANDS = registered("command")
PLUGIN_MODULES = registered(*PLUGINS.keys() - {"stage", "command"})
NOUNS = {module.rpartition(".")[0] for module in PLUGIN_MODULES if module.startswith("stages.")}
ALGORITHMS = {module for module in PLUGIN_MODULES if module.startswith("trackers.")}


@dataclass(frozen=True)
class File:
    """A Python file: its path below the root, and its text."""

    path: str
    text: str = field(repr=False)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @property
    def module(self) -> str:
        return ".".join(PurePosixPath(self.path).with_suffix("").parts).removesuffix(".__init__")

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @property
    def noun(self) -> str | None:
        """The folder of plug-ins that the file lies in: `stages.sinks`."""
        folder = ".".join(PurePosixPath(self.path).parent.parts)
        return folder if folder in NOUNS else None

    def at(self, line: int, complaint: str) -> str:
        return f"{self.path}:{line}: {complaint}"


def read(*folders: str) -> list[File]:
    paths = chain.from_iterable(sorted((ROOT / folder).rglob("*.py")) for folder in folders)
    return [File(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


HOUSE = read(*PACKAGES)
EVERYTHING = [*HOUSE, *read("tests", "benchmarks")]
MODULES = {file.module: file for file in HOUSE}


def imports(file: File) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of every import, wherever in the file it stands; of our own modules in full."""
    for node in ast.walk(file.tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, names=names):
                for alias in names:
                    full = f"{module}.{alias.name}"
                    yield node.lineno, full if full in MODULES else str(module)
            case ast.Call(
                func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__" | "need")
            ):
                match node.args:
                    case [ast.Constant(value=str(name)), *_]:
                        yield node.lineno, name


def inside(name: str, allowed: set[str] | frozenset[str]) -> bool:
    """Tell whether `name` or a package it lies in is allowed."""
    parts = name.split(".")
    return any(".".join(parts[:end]) in allowed for end in range(1, len(parts) + 1))


# Guards: who may import whom


def imports_against_the_grain(file: File) -> Iterator[str]:
    rank = PACKAGES.index(file.package)
    for line, name in imports(file):
        if name.partition(".")[0] in PACKAGES[rank + 1 :]:
            yield file.at(line, f"{file.package} imports {name}; imports go {' <- '.join(PACKAGES)}, turn it round")


def imports_that_make_the_engine_heavy(file: File) -> Iterator[str]:
    if file.package == "pipeline":
        for line, name in imports(file):
            if not inside(name, PIPELINE_MAY_IMPORT) and name.partition(".")[0] not in PACKAGES:
                yield file.at(
                    line, f"the engine imports {name}; it knows no model, codec or protocol: move it to stages/"
                )


def imports_that_tie_a_tracker_down(file: File) -> Iterator[str]:
    if file.package == "trackers":
        for line, name in imports(file):
            if not inside(name, TRACKERS_MAY_IMPORT) and name != "pipeline":
                yield file.at(line, f"a tracker imports {name}; trackers are numpy, scipy and pipeline's values only")
            if name in ALGORITHMS and name != file.module:
                yield file.at(line, f"imports the algorithm {name}; move what both need to a file of its own")


def imports_that_tie_a_plugin_down(file: File) -> Iterator[str]:
    if file.package != "stages" or file.module in VERBS:
        return
    for line, name in imports(file):
        if name in VERBS:
            yield file.at(line, f"imports the verb {name}; only the engine uses verbs: move what is shared out of it")
        elif (noun := name if name in NOUNS else name.rpartition(".")[0]) in NOUNS and noun != file.noun:
            yield file.at(line, f"imports {name} of another noun; move what both need to a room of its own in stages/")


def asyncio_outside_the_engine(file: File) -> Iterator[str]:
    if file.package == "pipeline" or file.module in VERBS or file.module.rpartition(".")[0] in ASYNCIO_ALLOWED:
        return
    for line, name in imports(file):
        if name.partition(".")[0] in {"asyncio", "anyio"} or name == "pipeline.worker":
            yield file.at(line, f"imports {name}; plug-ins are synchronous, the verbs in stages/*.py are not")
    for node in ast.walk(file.tree):
        if isinstance(node, ast.AsyncFunctionDef):
            yield file.at(
                node.lineno, f"{node.name} is async; plug-ins are synchronous, the verbs in stages/*.py are not"
            )


def imports_of_dtlpy(file: File) -> Iterator[str]:
    if file.path not in DTLPY_ALLOWED:
        for line, name in imports(file):
            if name.partition(".")[0] == "dtlpy":
                yield file.at(line, "imports dtlpy, which takes a second and repeats what must not be; use Platform")


def imports_of_a_higher_layer(file: File) -> Iterator[str]:
    if file.package != "pipeline" or file.module == "pipeline":
        return
    here = layer_of(file.module)
    if here is None:
        yield file.at(1, f"{file.module} has no layer; give it one in LAYERS of {Path(__file__).name}")
        return
    for line, name in imports(file):
        there = layer_of(name)
        if there is not None and there > here:
            yield file.at(line, f"imports {name}, a layer above its own; turn it round, or pass in what is needed")


def layer_of(name: str) -> int | None:
    package, _, rest = name.partition(".")
    found = (n for n, layer in enumerate(LAYERS) if package == "pipeline" and rest.partition(".")[0] in layer)
    return next(found, None)


# Guards: what a module offers


def defined(tree: ast.Module) -> set[str]:
    """Names that a module has at its top level, imported ones included."""
    names: set[str] = set()
    for node in chain.from_iterable(_branches(statement) for statement in tree.body):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                names |= {leaf.id for leaf in ast.walk(node) if isinstance(leaf, ast.Name) and is_stored(leaf)}
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {alias.asname or alias.name.partition(".")[0] for alias in aliases}
    return names


def _branches(statement: ast.stmt) -> Iterator[ast.stmt]:
    """Yield the statement, or those below an `if` or `try` at the top level."""
    if isinstance(statement, ast.If | ast.Try):
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt):
                yield from _branches(child)
    else:
        yield statement


def is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def exports(file: File) -> tuple[int, list[str]] | None:
    """Give line and names of `__all__`, or None where there is none."""
    for node in file.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List() as value):
                return node.lineno, ast.literal_eval(value)
    return None


def untrue_exports(file: File) -> Iterator[str]:
    if (found := exports(file)) is None:
        return
    line, names = found
    for name in sorted(set(names) - defined(file.tree)):
        yield file.at(line, f"__all__ names {name}, which the module does not define; delete one or write the other")
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield file.at(line, f"__all__ names {name} twice; delete one")
    if names != sorted(names, key=constants_classes_functions):
        yield file.at(line, "__all__ is not sorted; `ruff check --fix` sorts it")


def constants_classes_functions(name: str) -> tuple[int, str]:
    """Sort as ruff does (its rule RUF022)."""
    return 0 if name.isupper() else 1 if name[0].isupper() else 2, name


def imports_of_what_is_not_offered(file: File) -> Iterator[str]:
    for node in ast.walk(file.tree):
        if not isinstance(node, ast.ImportFrom) or node.module not in MODULES:
            continue
        offered = exports(MODULES[node.module])
        for alias in node.names:
            if f"{node.module}.{alias.name}" in MODULES or (offered is not None and alias.name in offered[1]):
                continue
            yield file.at(
                node.lineno, f"imports {alias.name}, which __all__ of {node.module} does not offer; add it there"
            )


# Guards: what is never written


def outputs_past_the_command_line(file: File) -> Iterator[str]:
    if file.path.startswith(("pipeline/cli/", "benchmarks/")) or file.module in COMMANDS:
        return
    for node in ast.walk(file.tree):
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield file.at(node.lineno, "prints; only the command line talks to a terminal: log it or return it")


def swallowed_errors(file: File) -> Iterator[str]:
    for function, handler in swallowing(file):
        if f"{file.path}::{function}" not in SWALLOWING_ALLOWED:
            yield file.at(handler.lineno, f"{function} swallows every error; name those it can handle, or raise again")


def swallowing(file: File) -> Iterator[tuple[str, ast.ExceptHandler]]:
    """Yield what catches everything and raises nothing, and every bare `except`, with the function it stands in."""
    for function, handler in handlers(file.tree, "module"):
        raises = any(isinstance(node, ast.Raise) for statement in handler.body for node in ast.walk(statement))
        if handler.type is None or (catches_everything(handler) and not raises):
            yield function, handler


def handlers(node: ast.AST, function: str) -> Iterator[tuple[str, ast.ExceptHandler]]:
    """Yield every except clause with the name of the function it stands in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ExceptHandler):
            yield function, child
        here = child.name if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) else function
        yield from handlers(child, here)


def catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"} for kind in kinds)


def names_that_say_nothing(file: File) -> Iterator[str]:
    classes = ((node.lineno, node.name) for node in ast.walk(file.tree) if isinstance(node, ast.ClassDef))
    for line, name in [(1, PurePosixPath(file.path).stem), *classes]:
        words = {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
        if empty := words & EMPTY_NAMES:
            yield file.at(line, f"'{name}': the word {', '.join(sorted(empty))} says nothing; name what it is or does")


def unsafe_calls(file: File) -> Iterator[str]:
    for line, name in imports(file):
        if name.partition(".")[0] in {"dill", "pickle", "shelve"}:
            yield file.at(line, f"imports {name}, which runs what it reads; use json, numpy or weights_only=True")
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call):
            keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            called = ast.unparse(node.func)
            if called in {"yaml.load", "yaml.full_load", "yaml.unsafe_load"}:
                yield file.at(node.lineno, f"{called} can build any object; use yaml.safe_load")
            if called == "torch.load" and keywords.get("weights_only") != "True":
                yield file.at(node.lineno, "torch.load unpickles; pass weights_only=True")
            if keywords.get("shell") == "True" or called == "os.system":
                yield file.at(node.lineno, "hands a string to a shell; pass a list of arguments to subprocess.run")


Guard = Callable[[File], Iterator[str]]

HOUSE_GUARDS: tuple[Guard, ...] = (
    imports_against_the_grain,
    imports_that_make_the_engine_heavy,
    imports_that_tie_a_tracker_down,
    imports_that_tie_a_plugin_down,
    asyncio_outside_the_engine,
    imports_of_dtlpy,
    imports_of_a_higher_layer,
    untrue_exports,
    imports_of_what_is_not_offered,
)
GUARDS_OF_EVERYTHING: tuple[Guard, ...] = (
    outputs_past_the_command_line,
    swallowed_errors,
    names_that_say_nothing,
    unsafe_calls,
)


@pytest.mark.parametrize("guard", HOUSE_GUARDS, ids=lambda guard: guard.__name__)
def test_the_house_has_no(guard: Guard) -> None:
    assert_no(complaint for file in HOUSE for complaint in guard(file))


@pytest.mark.parametrize("guard", GUARDS_OF_EVERYTHING, ids=lambda guard: guard.__name__)
def test_nowhere_are(guard: Guard) -> None:
    assert_no(complaint for file in EVERYTHING for complaint in guard(file))


def assert_no(complaints: Iterator[str]) -> None:
    found = list(complaints)
    assert not found, "\n" + "\n".join(found)


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name: {target for _, target in imports(file) if target in MODULES} for name, file in MODULES.items()}
    graphlib.TopologicalSorter(graph).prepare()


def test_every_exception_to_the_rules_is_still_needed() -> None:
    assert {f"{file.path}::{function}" for file in EVERYTHING for function, _ in swallowing(file)} >= set(
        SWALLOWING_ALLOWED
    )


# The registry


@pytest.mark.parametrize(
    ("role", "entry"),
    [pytest.param(role, entry, id=f"{role} {name}") for role, row in PLUGINS.items() for name, entry in row.items()],
)
def test_the_registry_is_right_about(role: str, entry: str) -> None:
    assert_no(unresolved(role, entry))


def unresolved(role: str, entry: str) -> Iterator[str]:
    module, _, name = entry.partition(":")
    if module not in MODULES:
        yield f"pipeline/registry.py: '{entry}': there is no module {module}; write it or delete the line"
        return
    wanted = {name} if role in {"stage", "command"} else {name, "Options"}
    for missing in sorted(wanted - defined(MODULES[module].tree)):
        yield MODULES[module].at(1, f"registered as a {role}, but defines no {missing}; write it")


@pytest.mark.parametrize(
    ("role", "entry"),
    [
        pytest.param("sink", "stages.sinks.gone:GoneSink", id="no such module"),
        pytest.param("sink", "stages.sinks.null:GoneSink", id="no such class"),
        pytest.param("sink", "stages.sinks.base:FrameSink", id="no options"),
    ],
)
def test_a_wrong_entry_is_seen(role: str, entry: str) -> None:
    assert len(list(unresolved(role, entry))) == 1


def test_every_plugin_file_is_registered() -> None:
    assert_no(complaint for file in HOUSE for complaint in unregistered(file))


def unregistered(file: File) -> Iterator[str]:
    if file.module not in PLUGIN_MODULES and (file.noun is not None or file.package == "trackers"):
        for node in file.tree.body:
            if isinstance(node, ast.ClassDef) and node.name == "Options":
                yield file.at(node.lineno, "has Options, so it is a plug-in; give it a line in pipeline/registry.py")


# Each guard sees what it is there for

LATE = "def f():\n    import {}\n"
TYPING = "if TYPE_CHECKING:\n    from {} import X\n"
DYNAMIC = "importlib.import_module('{}')\n"


@pytest.mark.parametrize(
    ("guard", "path", "text", "line"),
    [
        (imports_against_the_grain, "pipeline/x.py", "import stages.decode", 1),
        (imports_against_the_grain, "pipeline/x.py", "from trackers.base import Tracker", 1),
        (imports_against_the_grain, "pipeline/cli/x.py", LATE.format("stages"), 2),
        (imports_against_the_grain, "pipeline/x.py", TYPING.format("trackers.base"), 2),
        (imports_against_the_grain, "pipeline/x.py", DYNAMIC.format("stages.zoo"), 1),
        (imports_against_the_grain, "trackers/x.py", "from stages import geometry", 1),
        (imports_that_make_the_engine_heavy, "pipeline/x.py", "import torch.nn", 1),
        (imports_that_make_the_engine_heavy, "pipeline/x.py", LATE.format("av"), 2),
        (imports_that_make_the_engine_heavy, "pipeline/x.py", TYPING.format("ultralytics"), 2),
        (
            imports_that_make_the_engine_heavy,
            "pipeline/x.py",
            "try:\n    import cv2\nexcept ImportError:\n    raise",
            2,
        ),
        (imports_that_tie_a_tracker_down, "trackers/x.py", "import cv2", 1),
        (imports_that_tie_a_tracker_down, "trackers/x.py", "from pipeline.runner import Runner", 1),
        (imports_that_tie_a_tracker_down, "trackers/x.py", "from pipeline import config", 1),
        (imports_that_tie_a_tracker_down, "trackers/x.py", "from trackers.bytetrack import ByteTrack", 1),
        (imports_that_tie_a_tracker_down, "trackers/x.py", "from trackers import bytetrack", 1),
        (imports_that_tie_a_plugin_down, "stages/sinks/x.py", "from stages.sink import Write", 1),
        (imports_that_tie_a_plugin_down, "stages/sinks/x.py", "from stages import decode", 1),
        (imports_that_tie_a_plugin_down, "stages/sinks/x.py", "from stages.sources.base import FrameSource", 1),
        (imports_that_tie_a_plugin_down, "stages/geometry.py", "from stages.sinks.base import FrameSink", 1),
        (asyncio_outside_the_engine, "stages/sinks/x.py", "import asyncio", 1),
        (asyncio_outside_the_engine, "trackers/x.py", LATE.format("asyncio.tasks"), 2),
        (asyncio_outside_the_engine, "stages/sinks/x.py", "from pipeline.worker import Worker", 1),
        (asyncio_outside_the_engine, "stages/sinks/x.py", "class X:\n    async def write(self): ...", 2),
        (imports_of_dtlpy, "stages/dataloop/x.py", "import dtlpy as dl", 1),
        (imports_of_dtlpy, "stages/sinks/x.py", LATE.format("dtlpy.entities"), 2),
        (imports_of_dtlpy, "stages/dataloop/x.py", "need('dtlpy', 'the platform')", 1),
        (imports_of_a_higher_layer, "pipeline/types.py", "from pipeline.channel import Channel", 1),
        (imports_of_a_higher_layer, "pipeline/graph.py", LATE.format("pipeline.cli.run"), 2),
        (imports_of_a_higher_layer, "pipeline/stage.py", "from pipeline import registry", 1),
        (imports_of_a_higher_layer, "pipeline/attic.py", "", 1),
        (untrue_exports, "stages/x.py", "__all__ = ['Gone']", 1),
        (untrue_exports, "stages/x.py", "a = b = 1\n__all__ = ['b', 'a']", 2),
        (untrue_exports, "stages/x.py", "a = 1\n__all__ = ['a', 'a']", 2),
        (imports_of_what_is_not_offered, "stages/x.py", "from pipeline.secrets import _remembered", 1),
        (imports_of_what_is_not_offered, "stages/x.py", "from pipeline.types import Gone", 1),
        (outputs_past_the_command_line, "stages/x.py", "if x:\n    print(x)", 2),
        (swallowed_errors, "stages/x.py", "try:\n    f()\nexcept:\n    raise", 3),
        (swallowed_errors, "stages/x.py", "try:\n    f()\nexcept Exception:\n    pass", 3),
        (swallowed_errors, "stages/x.py", "try:\n    f()\nexcept (OSError, BaseException):\n    g()", 3),
        (names_that_say_nothing, "stages/utils.py", "", 1),
        (names_that_say_nothing, "stages/image_helpers.py", "", 1),
        (names_that_say_nothing, "stages/x.py", "\nclass TrackManager: ...", 2),
        (names_that_say_nothing, "stages/x.py", "class MQTTHandler: ...", 1),
        (unsafe_calls, "stages/x.py", "yaml.load(text)", 1),
        (unsafe_calls, "stages/x.py", "torch.load(path)", 1),
        (unsafe_calls, "stages/x.py", "torch.load(path, weights_only=False)", 1),
        (unsafe_calls, "stages/x.py", "subprocess.run(command, shell=True)", 1),
        (unsafe_calls, "stages/x.py", "import pickle", 1),
        (unregistered, "stages/sinks/x.py", "class Options(plugin.Options): ...", 1),
        (unregistered, "trackers/x.py", "class Options(plugin.Options): ...", 1),
    ],
)
def test_a_guard_sees(guard: Guard, path: str, text: str, line: int) -> None:
    found = list(guard(File(path, text)))

    assert len(found) == 1
    assert found[0].startswith(f"{path}:{line}: ")


@pytest.mark.parametrize(
    ("guard", "path", "text"),
    [
        (
            imports_against_the_grain,
            "stages/x.py",
            "from pipeline.types import Frame\nfrom trackers.base import Tracker",
        ),
        (
            imports_that_make_the_engine_heavy,
            "pipeline/x.py",
            "import asyncio\nimport numpy as np\nfrom rich.table import T",
        ),
        (imports_that_make_the_engine_heavy, "stages/x.py", "import torch"),
        (
            imports_that_tie_a_tracker_down,
            "trackers/x.py",
            "from pipeline import plugin\nfrom trackers.base import Tracker",
        ),
        (imports_that_tie_a_tracker_down, "trackers/bytetrack.py", "from scipy.optimize import linear_sum_assignment"),
        (
            imports_that_tie_a_plugin_down,
            "stages/sinks/x.py",
            "from stages import geometry\nfrom stages.sinks.base import X",
        ),
        (imports_that_tie_a_plugin_down, "stages/sink.py", "from stages.sinks.base import FrameSink"),
        (asyncio_outside_the_engine, "stages/decode.py", "import asyncio\nasync def read(): ..."),
        (imports_of_dtlpy, "stages/dataloop/adapter.py", "import dtlpy as dl"),
        (
            imports_of_a_higher_layer,
            "pipeline/runner.py",
            "from pipeline.graph import Graph\nfrom pipeline import loops",
        ),
        (imports_of_a_higher_layer, "pipeline/errors.py", "from pipeline.secrets import mask"),
        (
            untrue_exports,
            "stages/x.py",
            "__all__ = ['A', 'Options', 'f']\nA: int = 1\nclass Options: ...\ndef f(): ...",
        ),
        (
            imports_of_what_is_not_offered,
            "stages/x.py",
            "from pipeline import plugin\nfrom pipeline.types import Frame",
        ),
        (outputs_past_the_command_line, "pipeline/cli/x.py", "print(1)"),
        (outputs_past_the_command_line, "benchmarks/x.py", "print(1)"),
        (swallowed_errors, "stages/x.py", "try:\n    f()\nexcept Exception as error:\n    raise X from error"),
        (swallowed_errors, "stages/x.py", "try:\n    f()\nexcept OSError:\n    pass"),
        (names_that_say_nothing, "stages/score.py", "class Scorer: ..."),
        (
            unsafe_calls,
            "stages/x.py",
            "torch.load(path, weights_only=True)\nyaml.safe_load(text)\nsubprocess.run(['ls'])",
        ),
        (unregistered, "stages/sinks/base.py", "class FrameSink: ..."),
    ],
)
def test_a_guard_is_silent_about(guard: Guard, path: str, text: str) -> None:
    assert list(guard(File(path, text))) == []
