"""The command line of `bali build`."""

from __future__ import annotations

__all__ = ["build"]


def build() -> None:
    """Write the contract and the Python modules that gRPC needs, into services/rpc/.

    Code first: protos/<service>.proto is written from the resources; a field keeps its number for
    ever. A .proto that you wrote is compiled and never changed. A second run changes nothing.

    \b
    Examples:
      bali build                        then commit what it printed
      bali build && git diff --stat     what changed in the contract
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from bali.errors import ConfigurationError
    from bali_cli.build.contract import next_contract
    from bali_cli.build.plan import plan_of
    from bali_cli.build.sources import sources_of
    from bali_cli.console import abort, progress, result
    from bali_cli.project import current_project
    from bali_cli.protoc import ProtocError
    from bali_cli.writing import write_all

    project = current_project()
    sources = sources_of(project)
    app = project.load_app() if sources.is_code_first else None
    try:
        contract = next_contract(project, sources, app) if app is not None else None
        planned = plan_of(project, sources, contract)
    except ProtocError as error:
        abort(str(error))
    except ConfigurationError as error:
        abort(f"the contract cannot be built: {error}")
    changed = write_all(planned)
    for loss in contract.losses if contract is not None else ():
        progress(f"warning: {loss}")
    for path in sorted(changed):
        result(path.relative_to(project.root).as_posix())
    if not planned:
        progress("nothing to do: no resource is offered over gRPC, and there is no .proto.")
    elif not changed:
        progress("nothing to do: everything is as it should be.")
