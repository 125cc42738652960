#!/usr/bin/env python3
"""Refuses an include that src/LAYERS does not allow, and a src/LAYERS that is not a plan.

    tools/check_layers.py [ROOT]

Prints one line per fault and exits 1 where there is any. Standard library only.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

SOURCE_SUFFIXES = {".h", ".cpp", ".inl", ".cu", ".cuh"}
# Above the public API: these see include/helix and their own folder.
OUTSIDE = ("apps", "examples", "python/bindings")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
FLOOR_LINE = re.compile(r"([a-z_]+):((?: +[a-z_]+)*) *")
PUBLIC_LINE = re.compile(r"public +([\w/]+\.h): +([a-z_]+) *")


@dataclass
class Plan:
    """What src/LAYERS says."""

    below: dict[str, set[str]] = field(default_factory=dict)
    public: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def allows(self, floor: str, other: str) -> bool:
        return other == floor or other in self.below.get(floor, set())


def read_plan(text: str) -> Plan:
    plan = Plan()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if match := PUBLIC_LINE.fullmatch(line):
            add_public_header(plan, number, *match.groups())
        elif match := FLOOR_LINE.fullmatch(line):
            add_floor(plan, number, match[1], match[2].split())
        else:
            plan.faults.append(f"src/LAYERS:{number}: not understood: {line}")
    plan.faults.extend(cycles(plan))
    return plan


def add_floor(plan: Plan, number: int, floor: str, below: list[str]) -> None:
    if floor in plan.below:
        plan.faults.append(f"src/LAYERS:{number}: floor {floor} occurs twice")
    for other in below:
        if other not in plan.below:
            plan.faults.append(
                f"src/LAYERS:{number}: {floor} may include {other}, which no line above defines"
            )
    plan.below[floor] = set(below)


def add_public_header(plan: Plan, number: int, header: str, floor: str) -> None:
    if header in plan.public:
        plan.faults.append(f"src/LAYERS:{number}: public header {header} occurs twice")
    if floor not in plan.below:
        plan.faults.append(f"src/LAYERS:{number}: {header} belongs to the unknown floor {floor}")
    plan.public[header] = floor


def cycles(plan: Plan) -> Iterator[str]:
    """One line for each floor that can reach itself."""
    for start in plan.below:
        seen: set[str] = set()
        queue = list(plan.below[start])
        while queue:
            floor = queue.pop()
            if floor not in seen:
                seen.add(floor)
                queue.extend(plan.below.get(floor, ()))
        if start in seen:
            yield f"src/LAYERS: floor {start} lies on a cycle"


def sources(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix in SOURCE_SUFFIXES)


def includes(path: Path) -> Iterator[tuple[int, str, str]]:
    """(line, opening quote, target) of every include."""
    text = path.read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match[1], match[2]


def public_header_fault(plan: Plan, floor: str, header: str) -> str | None:
    owner = plan.public.get(header)
    if owner is None:
        return f"helix/{header} is not listed as a public header in src/LAYERS"
    if not plan.allows(floor, owner):
        return f"{floor} may not include helix/{header}, which belongs to {owner}"
    return None


def floor_include_fault(plan: Plan, floor: str, quote: str, target: str) -> str | None:
    """Why a file of `floor` may not include `target`, or None."""
    head, _, rest = target.partition("/")
    if head == "helix":
        return public_header_fault(plan, floor, rest)
    if head in plan.below and rest:  # <format> alone is the standard library's
        return None if plan.allows(floor, head) else f"{floor} may not include {target}"
    if quote == '"':
        return f'"{target}" names no floor: paths start at src/, other libraries stand in <>'
    return None


def outside_include_fault(plan: Plan, quote: str, target: str) -> str | None:
    """Apps, examples and bindings: the public API, their own files, other libraries."""
    head, _, rest = target.partition("/")
    if head == "helix":
        return None if rest in plan.public else f"helix/{rest} is not a public header"
    if head in plan.below and rest:
        return f"{target} is not part of the public API"
    return None


def check_floors(plan: Plan, root: Path) -> Iterator[str]:
    for path in sources(root / "src"):
        parts = path.relative_to(root / "src").parts
        name = path.relative_to(root).as_posix()
        if len(parts) == 1 or parts[0] not in plan.below:
            yield f"{name}: lies on no floor of src/LAYERS"
            continue
        for line, quote, target in includes(path):
            if fault := floor_include_fault(plan, parts[0], quote, target):
                yield f"{name}:{line}: {fault}"


def check_public_headers(plan: Plan, root: Path) -> Iterator[str]:
    folder = root / "include" / "helix"
    present = {path.relative_to(folder).as_posix(): path for path in sources(folder)}
    for header in sorted(plan.public.keys() - present.keys()):
        yield f"src/LAYERS: public header {header} does not exist"
    for header, path in present.items():
        name = path.relative_to(root).as_posix()
        floor = plan.public.get(header)
        if floor is None:
            yield f"{name}: not listed as a public header in src/LAYERS"
            continue
        for line, quote, target in includes(path):
            if not target.startswith("helix/") and (quote == '"' or "/" in target):
                yield f"{name}:{line}: a public header includes {target}, which is not installed"
            elif target.startswith("helix/") and (
                fault := floor_include_fault(plan, floor, quote, target)
            ):
                yield f"{name}:{line}: {fault}"


def check_outside(plan: Plan, root: Path) -> Iterator[str]:
    for folder in OUTSIDE:
        for path in sources(root / folder):
            for line, quote, target in includes(path):
                if fault := outside_include_fault(plan, quote, target):
                    yield f"{path.relative_to(root).as_posix()}:{line}: {fault}"


def check(root: Path) -> list[str]:
    plan = read_plan((root / "src" / "LAYERS").read_text(encoding="utf-8"))
    return [
        *plan.faults,
        *check_floors(plan, root),
        *check_public_headers(plan, root),
        *check_outside(plan, root),
    ]


def main(arguments: list[str]) -> int:
    root = Path(arguments[0]) if arguments else Path(__file__).resolve().parent.parent
    faults = check(root)
    print("\n".join(faults) if faults else "floors: every include is allowed")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
