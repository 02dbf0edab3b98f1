"""The command `polylogit serve`."""

from pathlib import Path
from typing import Annotated

import typer

from polylogit.cli.console import print_notes, reported_errors

__all__ = ["serve"]


def serve(
    models: Annotated[
        list[Path],
        typer.Argument(metavar="MODEL...", help="Model files that polylogit train wrote, each served under its name."),
    ],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all networks.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen at; 0 takes a free one.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    abstain_below: Annotated[
        float | None,
        typer.Option(metavar="P", help="Give no class to rows whose top probability is below P; a request may differ."),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the bearer token to ask for. [default: $POLYLOGIT_TOKEN]"),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Further name in the Host header of requests; may be repeated."),
    ] = None,
    terse_errors: Annotated[
        bool, typer.Option("--terse-errors", help="Leave the values that came out of error messages.")
    ] = False,
    reload: Annotated[bool, typer.Option("--reload", help="Load a model file again when it changes.")] = False,
    max_bytes: Annotated[int, typer.Option(metavar="N", help="Most bytes of a request.")] = 16 * 2**20,
    max_rows: Annotated[int, typer.Option(metavar="N", help="Most rows of a request.")] = 10_000,
    max_pixels: Annotated[int, typer.Option(metavar="N", help="Most pixels of a picture.")] = 50_000_000,
    max_requests: Annotated[int, typer.Option(metavar="N", help="Most requests at a time in each process.")] = 256,
    deadline: Annotated[float, typer.Option(metavar="SECONDS", help="Time after which a request fails.")] = 30.0,
    log_requests: Annotated[bool, typer.Option(help="Log each request, as JSON on standard error.")] = True,
) -> None:
    """Serve predictions of models over HTTP, with a page to try them."""
    with reported_errors():
        from polylogit.system.optional import import_extra

        for name in ("starlette", "uvicorn", "prometheus_client"):
            import_extra(name)
        from polylogit.serve.server import serve as run
        from polylogit.serve.settings import ServeSettings

        settings = ServeSettings(
            models=tuple(models),
            host=host,
            port=port,
            workers=workers,
            abstain_below=abstain_below,
            terse_errors=terse_errors,
            reload=reload,
            token_file=token_file,
            allowed_hosts=tuple(allow_host or ()),
            max_bytes=max_bytes,
            max_rows=max_rows,
            max_pixels=max_pixels,
            max_requests=max_requests,
            deadline=deadline,
            log_requests=log_requests,
        )
        run(settings, on_listening=lambda address: typer.echo(f"Listening at {address} (Ctrl-C stops)", err=True))
        print_notes(["the service has stopped; requests in progress were answered."])
