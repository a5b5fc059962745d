"""What each command takes; its docstring is the command's help. Needs no optional package."""

import os.path
from argparse import ArgumentParser, ArgumentTypeError
from difflib import get_close_matches
from pathlib import Path

from fusedoptim import _core, available_isas
from fusedoptim.cli.output import STDOUT

SMALLEST, LARGEST = 4, 28  # exponents of 2


def info(parser: ArgumentParser) -> None:
    """Print what was found on this machine, and what was chosen."""
    parser.add_argument("--rules", action="store_true", help="list the rules instead, each with its optimizer")
    json(parser, "write it there")


def doctor(parser: ArgumentParser) -> None:
    """Check that it works on this machine, and tell what to do where it does not."""
    json(parser, "write what was found there")


# All but the rule whose step is mostly NumPy's matrix products.
BENCHED: list[str] = [rule for rule in _core.rule_states if rule != "muon"]
RULES = ["sgd", "momentum", "rmsprop", "adam"]


def demo(parser: ArgumentParser) -> None:
    """Train a network that reads handwritten digits in eight settings of six optimizers, beside the NumPy reference."""
    parser.add_argument("--all", action="store_true", help="with every optimizer, at a rate that suits it; two minutes")
    parser.add_argument("--epochs", type=positive, default=30, metavar="N", help="default: %(default)s")
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="default: %(default)s")
    output = "fusedoptim-demo.png"  # a string, as the next default: argparse checks those as if they were given
    parser.add_argument(
        "--output", type=picture, default=output, metavar="PATH", help="picture; default: ./%(default)s"
    )


def gallery(parser: ArgumentParser) -> None:
    """Draw what averaging, momentum, RMSProp and Adam do: eight figures, made with the optimizers."""
    out = "fusedoptim-gallery"
    parser.add_argument("--out", type=folder, default=out, metavar="FOLDER", help="default: ./%(default)s")


def bench(parser: ArgumentParser) -> None:
    """Check the kernels, then time them against NumPy and against this machine's memory."""
    default = f"`info --rules` lists them; default: {' '.join(RULES)}"
    parser.add_argument("--rules", nargs="+", type=rule, metavar="RULE", help=default)
    every = "every size of the range, not a few, and every rule unless --rules names some"
    parser.add_argument("--all", action="store_true", help=every)
    parser.add_argument(
        "--min-exponent", type=exponent, default=SMALLEST, metavar="K", help="smallest array: 2^K; default: %(default)s"
    )
    parser.add_argument(
        "--max-exponent", type=exponent, default=26, metavar="K", help="largest array: 2^K; default: %(default)s"
    )
    measuring(parser, repetitions=7)
    parser.add_argument("--threads", type=positive, metavar="N", help="default: all this process may use")
    parser.add_argument("--isa", choices=available_isas(), help="instruction set; default: the best")
    parser.add_argument("--table", type=result, metavar="PATH", help="write the largest size there, in Markdown")
    parser.add_argument("--plot", type=picture, metavar="PATH", help="draw a picture there")


def measuring(parser: ArgumentParser, repetitions: int) -> None:
    """What every program takes that measures, those of the folder ``bench/`` too."""
    about = "samples of each median; default: %(default)s"
    parser.add_argument("--repetitions", type=positive, default=repetitions, metavar="N", help=about)
    json(parser, "write all figures there")


def json(parser: ArgumentParser, about: str) -> None:
    parser.add_argument("--json", type=json_result, metavar="PATH", help=f"{about}, as JSON; - is stdout")


def rule(text: str) -> str:
    if text in _core.rule_states and text not in BENCHED:
        raise ArgumentTypeError(f"{text} is not timed: its step is mostly NumPy's matrix products")
    if text not in BENCHED:
        near = get_close_matches(text, BENCHED, cutoff=0.5)
        guess = f"did you mean {', '.join(near)}?" if near else "`info --rules` lists them"
        raise ArgumentTypeError(f"no rule is called {text!r}; {guess}")
    return text


def positive(text: str) -> int:
    return _whole(text, 1)


def natural(text: str) -> int:
    return _whole(text, 0)


def exponent(text: str) -> int:
    return _whole(text, SMALLEST, LARGEST)


def result(text: str) -> Path:
    """A file that can be written, as far as can be told before the work that it costs to fill it."""
    path = Path(text)
    if os.path.isdir(path) or not _writable(path):
        raise ArgumentTypeError(f"no file can be written at {text!r}; give another path")
    return path


def folder(text: str) -> Path:
    """A folder that can be written into, or made."""
    path = Path(text)
    if not text or (os.path.exists(path) and not os.path.isdir(path)) or not _writable(path):
        raise ArgumentTypeError(f"no folder can be written at {text!r}; give another path")
    return path


def json_result(text: str) -> Path:
    return STDOUT if text == "-" else result(text)


def picture(text: str) -> Path:
    path = result(text)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise ArgumentTypeError(f"{text!r} must end in .png, .svg or .pdf")
    return path


def _writable(path: Path) -> bool:
    """By ``os.path``: a method of Path raises where a folder may not be searched."""
    if os.path.exists(path):
        return os.access(path, os.W_OK)
    return os.path.isdir(path.parent) and os.access(path.parent, os.W_OK | os.X_OK)


def _whole(text: str, low: int, high: int | None = None) -> int:
    if not text.isdecimal() or int(text) < low or (high is not None and int(text) > high):
        raise ArgumentTypeError(
            f"must be a whole number {f'>= {low}' if high is None else f'in {low} ... {high}'}, got {text!r}"
        )
    return int(text)
