"""The command line of `bali publish`."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["publish"]


def publish(
    *,
    to: Annotated[
        str | None,
        typer.Option(help="The repo of protos: a folder or an address; ../proto if left out."),
    ] = None,
    branch: Annotated[
        str | None,
        typer.Option(help="Branch for the commit, as for a merge request; else the default one."),
    ] = None,
    message: Annotated[str | None, typer.Option(help="What the commit is to say.")] = None,
    allow_breaking: Annotated[
        bool, typer.Option("--allow-breaking", help="Publish even what breaks callers.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be published; change nothing.")
    ] = False,
) -> None:
    """Put the .proto of this service into the team's repo of protos, as one commit.

    It is never put over a change of somebody else, nor over one that breaks callers.

    \b
    Examples:
      bali publish                              into ../proto, and on to its remote
      bali publish --to git@host:team/proto.git
      bali publish --branch user-v2 --message "Add the age of users"
      bali publish --dry-run
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from bali_cli.console import abort, progress, result
    from bali_cli.project import current_project
    from bali_cli.publish.contract import contract_of
    from bali_cli.publish.publication import Options, Publisher
    from bali_cli.publish.target import default_source, open_target

    if message is not None and not message.strip():
        abort("the message of --message is empty; leave it out for one of our own.")
    project = current_project()
    contract = contract_of(project)
    options = Options(
        branch=branch, message=message, allow_breaking=allow_breaking, dry_run=dry_run
    )
    with open_target(to if to is not None else default_source(project.root)) as target:
        done = Publisher(project, contract, target, options).publish()
    place = f"{', '.join(done.paths)} in {target.shown}, branch {done.branch}"
    if done.commit is None:
        result(f"Nothing to publish: {place} is as it is here.")
    elif dry_run:
        result(done.difference)
        progress(f"Would publish {place}. Nothing is changed.")
    else:
        result(f"Published {place}: commit {done.commit}")
        if not done.is_followed:
            progress(f"{target.shown} itself could not follow; run `git pull` there.")
