"""`rtpipe completion`: what a shell needs to complete commands, options, kinds, files and names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_RTPIPE_COMPLETE"
_WHERE = {
    "bash": 'eval "$(rtpipe completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(rtpipe completion zsh)"   # in ~/.zshrc, after compinit',
    "fish": "rtpipe completion fish | source   # in ~/.config/fish/config.fish",
}


@click.command(epilog="\b\n" + "\n".join(_WHERE.values()))
@click.argument("shell", type=click.Choice(list(_WHERE)))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what SHELL must read to complete what is typed after `rtpipe`.

    A line in the shell's own file does it, from its next start on.
    """
    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root()
    click.echo(found(root.command, {}, "rtpipe", _VARIABLE).source())
