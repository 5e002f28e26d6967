"""`python -m tests.simulation.volumes replay SEED` and `... soak N [FIRST]`."""

import sys
from collections import Counter

from tests.simulation.volumes.crowd import play
from tests.simulation.volumes.run import run


def main() -> int:
    """Do what the arguments say. Exit code 1 if a promise is broken."""
    match sys.argv[1:]:
        case ["replay", seed]:
            result = run(int(seed))
            sys.stdout.write("\n".join([*result.tape, result.violation or "all promises hold", ""]))
            return 1 if result.violation else 0
        case ["soak", count, *rest]:
            first, broken = int(rest[0]) if rest else 0, 0
            figures: Counter[str] = Counter()
            for result in play(range(first, first + int(count))):
                figures += result.figures
                if result.violation:
                    broken += 1
                    sys.stdout.write(f"seed {result.seed}: {result.violation}\n")
            for what, number in figures.most_common():
                sys.stdout.write(f"{number:10} {what}\n")
            sys.stdout.write(f"{count} seeds, {broken} break a promise\n")
            return 1 if broken else 0
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2


if __name__ == "__main__":
    sys.exit(main())
