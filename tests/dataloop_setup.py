"""A dataset on the server of tests that has all that annotations of people need."""

from dataloop_server import DataloopServer

from pipeline.skeletons import COCO_17, Skeleton

__all__ = ["set_up"]


def set_up(server: DataloopServer, skeleton: Skeleton = COCO_17) -> None:
    """Make labels and template, as `kinestream dataloop setup` does. The environment must say how to log in."""
    from stages.dataloop.connection.platform import Platform  # noqa: PLC0415 - needs the extra
    from stages.dataloop.recipes import Recipes, carry_out, plan  # noqa: PLC0415

    with Platform.from_environment() as platform:
        carry_out(platform, plan(Recipes.read(platform, server.dataset_id), skeleton), skeleton)
