"""The command line: a thin layer, one module a command in `mpeval.commands`.

Each module holds a click command named `command`. A module is imported when its command runs; `mpeval --help`
needs only the table below.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence

import click

from mpeval import __version__
from mpeval.errors import SampleError, UserError
from mpeval.text import printable

COMMANDS = {
    "list": "Models, benchmarks, suites, protocols, tables: what there is.",
    "run": "Run models over a suite, score them and print a table.",
    "merge": "Join the shards of a run into one; say what is missing.",
    "data": "Which datasets are here, fetching them, checking them.",
    "score": "Score stored predictions again; no model is loaded.",
    "segment": "Make masks of a tracking run's points, for J&F.",
    "compare": "Two runs on the same samples: difference, interval, p-value.",
    "tables": "The paper's tables, with our runs as rows, and their check.",
    "leaderboard": "A site of tables, runs and samples; opens from disk.",
    "show": "Pictures of predictions against targets.",
    "export": "Write a run as JSON lines or Parquet, its scores for the Hub.",
    "point": "Ask a model to point at something in a picture or video.",
    "bench": "How fast a model runs on this machine, against its limits.",
    "verify": "Check numbers against the released model and scorers.",
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return importlib.import_module(f"mpeval.commands.{cmd_name}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there is {', '.join(COMMANDS)}"
            raise UserError(f"unknown command '{args[0]}': {hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="mpeval")
@click.pass_context
def cli(context: click.Context) -> None:
    """How well vision-language models point: in images, on screens and in video."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 samples failed, 2 a user's mistake, 130 interrupted."""
    try:
        status = cli.main(args=arguments, prog_name="mpeval", standalone_mode=False)
    except (UserError, SampleError) as error:  # the latter outside of a run: no row can hold it
        _fail(str(error))
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "mpeval"
        _fail(f"{error.format_message()} ('{command} --help' says what it takes)")
    except click.ClickException as error:
        _fail(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        print("mpeval: interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    print("mpeval: " + printable(" ".join(message.split())), file=sys.stderr)
    sys.exit(2)
