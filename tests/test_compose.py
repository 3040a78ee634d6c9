"""The containers, as far as text can tell: every file, stage, variable and command that is named is there."""

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from pipeline.cli import app

ROOT = Path(__file__).resolve().parents[1]

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EXAMPLE = dict(
    line.split("=", 1)
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    if re.match(r"\w", line)
)
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|KEY", re.IGNORECASE)
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>\w+)(?::(?P<rule>[-?])(?P<text>[^}]*))?\}")


def substituted(text: str) -> str:
    """Fill in the defaults, as compose does with no `.env`."""
    return VARIABLE.sub(lambda found: found["text"] if found["rule"] == "-" else "given", text)


STACK: dict[str, Any] = yaml.safe_load(substituted(COMPOSE))
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
COMMANDS = set(typer.main.get_group(app).commands)

each_service = pytest.mark.parametrize("name", SERVICES)
each_of_ours = pytest.mark.parametrize("name", OURS)


def stages() -> Iterator[tuple[str, str, list[tuple[str, str]]]]:
    """Yield name, base and instructions of every stage of the Dockerfile."""
    lines = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE)).splitlines()
    name, base, instructions = "", "", list[tuple[str, str]]()
    for line in filter(None, lines):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            if name:
                yield name, base, instructions
            base, _, name = rest.partition(" AS ")
            instructions = []
        else:
            instructions.append((word, rest.strip()))
    yield name, base, instructions


STAGES = {name: (base, instructions) for name, base, instructions in stages()}


def of_target(target: str, word: str) -> list[str]:
    """Give all that a target and the stages below it say with one instruction, nearest first."""
    base, instructions = STAGES[target]
    own = [rest for found, rest in instructions if found == word]
    return own[::-1] + (of_target(base, word) if base in STAGES else [])


def mounts(service: dict[str, Any]) -> list[list[str]]:
    return [entry.split(":") for entry in service.get("volumes", [])]


@each_service
def test_what_a_service_mounts_is_there(name: str) -> None:
    for source, *_ in mounts(SERVICES[name]):
        if source.startswith("."):
            assert (ROOT / source).is_file(), source
        else:
            assert source in STACK["volumes"]


def test_every_declared_volume_is_used() -> None:
    used = {source for service in SERVICES.values() for source, *_ in mounts(service)}

    assert set(STACK["volumes"]) <= used


@each_service
def test_a_service_comes_back_after_a_failure(name: str) -> None:
    assert SERVICES[name]["restart"] in {"on-failure", "unless-stopped"}


@each_service
def test_a_service_has_time_to_stop_and_logs_that_end(name: str) -> None:
    assert SERVICES[name]["stop_grace_period"] == "15s"
    assert {"max-size", "max-file"} <= SERVICES[name]["logging"]["options"].keys()


@each_service
def test_a_service_has_no_privileges(name: str) -> None:
    assert SERVICES[name]["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]
    assert not SERVICES[name].get("privileged", False)


@each_service
def test_a_service_is_asked_for_its_health(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert of_target(service["build"]["target"], "HEALTHCHECK")
    else:
        assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
        assert {"interval", "timeout", "retries"} <= service["healthcheck"].keys()


@each_service
def test_a_port_is_published_on_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)


@each_service
def test_an_image_has_a_full_version(name: str) -> None:
    assert re.fullmatch(r"[\w/-]+:\d+\.\d+\.\d+(-\w+)?", SERVICES[name]["image"])


@each_service
def test_a_dependency_is_a_service_that_must_be_healthy(name: str) -> None:
    for other, rule in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        assert rule == {"condition": "service_healthy"}


@each_of_ours
def test_our_image_is_named_after_our_version(name: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    target = SERVICES[name]["build"]["target"]

    assert SERVICES[name]["image"] == f"kinestream:{version}-{target}"


@each_of_ours
def test_our_service_is_of_the_profile_of_its_target(name: str) -> None:
    target = SERVICES[name]["build"]["target"]

    assert SERVICES[name]["profiles"] == (["cpu", "gpu"] if name == "sample" else [target])
    assert target in STAGES


def test_there_is_a_profile_for_machines_with_and_without_a_gpu() -> None:
    assert {profile for name in OURS for profile in SERVICES[name]["profiles"]} == {"cpu", "gpu"}


def test_the_gpu_service_asks_for_computing_and_video() -> None:
    (device,) = SERVICES["kinestream-gpu"]["deploy"]["resources"]["reservations"]["devices"]

    assert device["driver"] == "nvidia"
    assert set(device["capabilities"]) == {"gpu", "video", "compute", "utility"}
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video" in of_target("gpu", "ENV")[0]


@each_of_ours
def test_what_our_container_runs_is_a_command_of_ours(name: str) -> None:
    target = SERVICES[name]["build"]["target"]

    assert yaml.safe_load(of_target(target, "ENTRYPOINT")[0]) == ["kinestream"]
    assert SERVICES[name]["command"][0] in COMMANDS
    check = yaml.safe_load(of_target(target, "HEALTHCHECK")[0].partition("CMD ")[2])
    assert check[0] == "kinestream"
    assert check[1] in COMMANDS


@each_of_ours
def test_our_container_runs_what_it_mounts(name: str) -> None:
    mounted = {inside: source for source, inside, *_ in mounts(SERVICES[name])}
    config = SERVICES[name]["command"][1]

    assert yaml.safe_load((ROOT / mounted[config]).read_text(encoding="utf-8"))


@each_of_ours
def test_our_container_is_not_root(name: str) -> None:
    (user,) = of_target(SERVICES[name]["build"]["target"], "USER")

    assert user not in {"root", "0"}


@each_of_ours
def test_our_volumes_belong_to_the_user_in_the_image(name: str) -> None:
    declared = set(yaml.safe_load(of_target(SERVICES[name]["build"]["target"], "VOLUME")[0]))

    assert declared == {inside for source, inside, *_ in mounts(SERVICES[name]) if source in STACK["volumes"]}


@each_of_ours
def test_build_arguments_are_known_to_the_dockerfile(name: str) -> None:
    known = {argument.partition("=")[0] for word, argument in STAGES["build"][1] if word == "ARG"}

    assert SERVICES[name]["build"]["args"].keys() == known


def test_the_dockerfile_copies_what_is_there() -> None:
    for _, instructions in STAGES.values():
        for rest in (rest for word, rest in instructions if word == "COPY"):
            *sources, _ = [part for part in shlex.split(rest) if not part.startswith("--from=")]
            if "--from=" in rest:
                assert re.findall(r"--from=(\S+)", rest)[0] in STAGES
            else:
                assert all((ROOT / source).exists() for source in sources), rest


def test_the_image_gets_the_package_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]}

    assert "*" in lines
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert allowed == packages | {"pyproject.toml", "README.md", "LICENSE"}
    assert all((ROOT / path).exists() for path in allowed)


def test_the_base_image_has_a_full_version() -> None:
    assert re.search(r"(?m)^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+$", DOCKERFILE)


def test_the_image_and_the_setup_install_the_same_libraries() -> None:
    setup = (ROOT / ".ci" / "setup").read_text(encoding="utf-8")

    assert set(re.findall(r"\blibg[\w.-]+", of_target("cpu", "RUN")[-1])) == set(
        re.findall(r"echo (libg[\w.-]+)", setup)
    )


def test_every_variable_is_in_the_example_and_every_example_is_used() -> None:
    assert {found["name"] for found in VARIABLE.finditer(COMPOSE)} == EXAMPLE.keys()


def test_the_example_shows_the_defaults() -> None:
    for found in VARIABLE.finditer(COMPOSE):
        assert EXAMPLE[found["name"]] == (found["text"] if found["rule"] == "-" else "")


def test_every_dollar_is_a_variable_or_doubled() -> None:
    without_comments = re.sub(r"(?m)^#.*$", "", COMPOSE)

    assert "$" not in VARIABLE.sub("", without_comments.replace("$$", ""))


def test_secrets_come_from_the_environment_and_have_no_default() -> None:
    for found in VARIABLE.finditer(COMPOSE):
        assert (found["rule"] == "?") == bool(SECRET.search(found["name"])), found[0]
    for name, service in yaml.safe_load(COMPOSE)["services"].items():
        for key, value in service.get("environment", {}).items():
            assert not SECRET.search(key) or VARIABLE.fullmatch(value), f"{name}: {key} is written out"


def test_no_secret_is_built_into_an_image() -> None:
    named = [rest for _, instructions in STAGES.values() for word, rest in instructions if word in {"ARG", "ENV"}]

    assert not [rest for rest in named if SECRET.search(rest)]


@pytest.mark.parametrize("file", [".gitignore", ".dockerignore"])
def test_the_file_with_the_secrets_is_kept_out_of(file: str) -> None:
    patterns = (ROOT / file).read_text(encoding="utf-8").splitlines()

    assert {".env", "*"} & set(patterns)
    assert "!.env" not in patterns


def test_the_broker_lets_nobody_in_without_a_password() -> None:
    lines = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text(encoding="utf-8").splitlines()
    settings = [line.split(" ", 1) for line in lines if line and not line.startswith("#")]

    assert all(len(setting) == 2 for setting in settings)
    assert ["allow_anonymous", "false"] in settings
    ((_, passwords),) = [setting for setting in settings if setting[0] == "password_file"]
    assert passwords in (ROOT / "deploy/mosquitto/start.sh").read_text(encoding="utf-8")
    assert any(passwords.startswith(entry.partition(":")[0] + "/") for entry in SERVICES["mosquitto"]["tmpfs"])


def test_the_stream_server_offers_the_ports_that_are_published() -> None:
    settings = yaml.safe_load((ROOT / "deploy/mediamtx.yml").read_text(encoding="utf-8"))

    assert settings["rtsp"]
    assert settings["rtspTransports"] == ["tcp"]
    assert settings["hls"]
    assert settings["apiAddress"] in " ".join(SERVICES["mediamtx"]["healthcheck"]["test"])


def test_docker_compose_itself_understands_the_file() -> None:
    docker = shutil.which("docker") or pytest.skip("there is no docker on this machine")
    if subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this docker has no compose")
    command = [docker, "compose", "--profile", "cpu", "--profile", "gpu", "config", "--quiet"]
    environment = {**os.environ, "MQTT_PASSWORD": "given"}

    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
