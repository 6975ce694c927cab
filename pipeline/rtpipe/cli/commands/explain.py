"""`rtpipe explain`: the page of a diagnostic's code."""

from __future__ import annotations

import textwrap

import click

from rtpipe.catalogue.explain import pages
from rtpipe.cli.options import json_option, print_json
from rtpipe.cli.settings import common_options
from rtpipe.wording.diagnostics import did_you_mean


@click.command()
@click.argument("code", required=False)
@json_option
@common_options
def explain(code: str | None, *, as_json: bool) -> None:
    """Explain a diagnostic's code, E102 for instance; without one, list them."""
    known = pages()
    if code is None:
        if as_json:
            print_json({key: page.title for key, page in known.items()})
            return
        for key, page in known.items():
            click.echo(f"{key}  {page.title}")
        return
    key = code.upper()
    if key not in known:
        hint = did_you_mean(key, known) or "`rtpipe explain` lists the codes"
        raise click.UsageError(f"no code `{code}`; {hint}")
    page = known[key]
    if as_json:
        print_json({"code": key, "title": page.title, "text": page.text, "wrong": page.wrong()})
    else:
        wrong = textwrap.indent(page.wrong(), "  ")
        click.echo(f"{key}: {page.title}\n\n{page.text}\n\nWrong, for example:\n\n{wrong}")
