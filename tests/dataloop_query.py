"""The filters of the platform's queries: which entities they take, as `POST /datasets/{id}/query` has them."""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["BadFilter", "keyset", "matcher", "value_at"]

Json = dict[str, Any]
Match = Callable[[Json], bool]

_MISSING = object()


class BadFilter(Exception):
    """Not a filter that the platform knows."""


def matcher(condition: Any) -> Match:
    """Make a test of a condition: `{"$and": [...]}`, `{"$or": [...]}`, `{"metadata.user.x": {"$gte": 1}, ...}`."""
    if not isinstance(condition, Mapping):
        msg = f"a condition must be an object, got {condition!r}"
        raise BadFilter(msg)
    tests = [_test(key, value) for key, value in condition.items()]
    return tests[0] if len(tests) == 1 else lambda entity: all(test(entity) for test in tests)


def _test(key: str, value: Any) -> Match:
    if key in {"$and", "$or"}:
        if not isinstance(value, list):
            msg = f"{key} takes a list, got {value!r}"
            raise BadFilter(msg)
        tests = [matcher(part) for part in value]
        combine = all if key == "$and" else any
        return lambda entity: combine(test(entity) for test in tests)
    if key.startswith("$"):
        msg = f"unknown operator {key}"
        raise BadFilter(msg)
    path = key.split(".")
    compare = _comparison(value)
    return lambda entity: compare(value_at(entity, path, _MISSING))


def _comparison(value: Any) -> Callable[[Any], bool]:
    if not isinstance(value, Mapping) or not any(key.startswith("$") for key in value):
        return lambda found: bool(found == value)
    tests = []
    for name, operand in value.items():
        if name not in _OPERATORS:
            msg = f"unknown operator {name}"
            raise BadFilter(msg)
        tests.append((_OPERATORS[name], operand))
    return lambda found: all(test(found, operand) for test, operand in tests)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Compare only what is of one kind, as Mongo does."""

    def test(found: Any, operand: Any) -> bool:
        numbers = isinstance(found, int | float) and isinstance(operand, int | float)
        return (numbers or (isinstance(found, str) and isinstance(operand, str))) and compare(found, operand)

    return test


def _among(found: Any, operand: Iterable[Any]) -> bool:
    return found is not _MISSING and found in operand


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda found, operand: bool(found == operand),
    "$ne": lambda found, operand: bool(found != operand),
    "$in": _among,
    "$nin": lambda found, operand: not _among(found, operand),
    "$exists": lambda found, operand: (found is not _MISSING) == bool(operand),
    "$gt": _ordered(operator.gt),
    "$gte": _ordered(operator.ge),
    "$lt": _ordered(operator.lt),
    "$lte": _ordered(operator.le),
}


def value_at(entity: Any, path: list[str], missing: Any = None) -> Any:
    for key in path:
        if not isinstance(entity, dict) or key not in entity:
            return missing
        entity = entity[key]
    return entity


def keyset(condition: Any) -> tuple[Any, str]:
    """Take `{"id": {"$gt": last}}` out of the conditions: (what is left, last or nothing)."""
    if not isinstance(condition, Mapping) or not isinstance(condition.get("$and"), list):
        return condition, ""
    left, last = [], ""
    for part in condition["$and"]:
        match part:
            case {"id": {"$gt": str(found), **others}, **more} if not others and not more:
                last = max(last, found)
            case _:
                left.append(part)
    return {**condition, "$and": left}, last
